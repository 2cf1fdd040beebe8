//! Which files are let in. **The content decides**: what the first bytes prove to be a document, picture or film of the
//! accepted kinds is stored as what it is, whatever its name and the server say; what runs is refused; a web page is
//! refused as anything else; and text, which proves nothing, is taken at its name as far as its content allows it.
//!
//! Read in this order: [`judge`] says what becomes of a file, `names` what its URL calls it, `declared` what servers say.

mod archive;
mod declared;
mod delimited;
mod disposition;
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
mod refusal;
mod text;
mod unproven;

pub use declared::{Declared, compare};
pub use file_type::FileType;
pub use judgement::{CONTENT_HEAD_BYTES, Judged, judge};
pub use names::{extension_of, file_type_label, named_type, type_in_disposition};
pub(crate) use names::{split_extension, stored_name};
pub use refusal::FileRefusal;
