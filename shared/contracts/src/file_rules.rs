//! Which files are accepted. **The content decides.** If the first bytes prove an accepted kind of document, picture or film, the
//! file is stored as that kind, whatever its name and its server declare. Executables are refused. A web page is refused under
//! any other name. Text proves no kind, so its name counts as far as the content allows.
//!
//! Read in this order: [`judge`] decides about a file, `names` reads its name from the URL, `declared` reads its `Content-Type`.

mod archive;
mod declared;
mod delimited;
mod disposition;
mod error;
mod executable;
mod file_type;
mod html;
mod iso_media;
mod judgement;
mod names;
mod office_text;
mod old_office;
mod pdf;
mod picture;
mod proof;
mod text;
mod unproven;

pub use declared::{Declared, compare};
pub use error::FileRefusedError;
pub use file_type::FileType;
pub use judgement::{CONTENT_HEAD_BYTES, Judged, judge};
pub use names::{extension_of, file_type_label, named_type, type_in_disposition};
pub(crate) use names::{split_extension, stored_name};
