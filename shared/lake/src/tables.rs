//! Delta tables: append the rows whose key is absent, together with the offsets that they came from.

mod append;
mod byte_lru;
mod change_feed;
mod checkpoints;
mod commit;
mod data_files;
mod error;
mod features;
mod handle;
mod log_cache;
mod log_entry;
mod maintain;
mod onelake_store;
mod options;
mod probe;
mod read;
mod restored;
mod rows;
mod schema;
mod snapshot;
mod store;
mod table;

// Callers of `Table::scan` need the same version of arrow.
pub use deltalake::arrow;

pub use append::Appended;
pub use data_files::writer_properties;
pub use error::{TableError, TableErrorKind};
pub use features::Obstacle;
pub use maintain::info::TableInfo;
pub use maintain::optimize::Compacted;
pub use maintain::remove::Removed;
pub use maintain::vacuum::{VACUUM_RETENTION, Vacuum, Vacuumed};
pub use options::TableOptions;
pub use rows::attachments::AttachmentRow;
pub use rows::events::EventRow;
pub use rows::failed::FailedRow;
pub use rows::row::{Key, TableRow};
pub use rows::source::{Source, Sourced};
pub use store::StoreWrapper;
pub use table::Table;
