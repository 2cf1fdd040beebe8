//! Delta tables: appends the rows whose key is absent, in the same commit as the Kafka offsets that they came from.
//!
//! An append goes through these modules:
//!
//! 1. `table`, `handle`: [`Table`] locks its handle, which has the table as it was last known
//! 2. `append`: decides which rows are new, by the positions in the `snapshot` and the keys that `read::lookup` finds
//! 3. `data_files`: writes those rows to parquet files
//! 4. `commit`: commits the files and the positions at exactly the next version; explains how an unknown outcome is resolved
//!
//! The others:
//!
//! - `rows`: the rows of the tables; `schema`, `features`: whether a table can be appended to
//! - `maintain`: compaction, removal of rows, vacuum; `probe`: the preflight check
//! - `restored`: detects that a table was restored to an earlier version
//! - `store`, `onelake_store`, `log_cache`: the object store under a table
//! - `log_entry`, `checkpoints`, `change_feed`: files of the Delta protocol

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

/// Returns the version of the library that reads and writes the tables.
#[must_use]
pub fn delta_version() -> &'static str {
    deltalake::crate_version()
}

pub use append::Appended;
pub use data_files::writer_properties;
pub use error::{TableError, TableErrorKind};
pub use features::Obstacle;
pub use maintain::info::TableInfo;
pub use maintain::optimize::{Compacted, PlannedCompaction};
pub use maintain::remove::Removed;
pub use maintain::vacuum::{VACUUM_RETENTION, Vacuum, Vacuumed};
pub use options::TableOptions;
pub use read::contents::{DateContents, TableContents};
pub use read::date_files::DateFile;
pub use read::dates::RowsOfDates;
pub use read::find::FoundRows;
pub use rows::row::{Key, Source, Sourced, TableRow};
pub use rows::{AttachmentRow, EventRow, FailedRow, ReconciliationRow};
pub use store::StoreWrapper;
pub use table::Table;
