//! Storage of the pipeline: files in OneLake and Delta tables. No other crate uses Azure Storage or Delta.
//!
//! - [`Location`]: where files or a table are, on this machine or in OneLake; [`Connection`]: what opening it requires
//! - [`LakehouseKind`]: whether a lakehouse has schemas, and so where its tables are
//! - [`FileStore`]: writes a file so that readers never get an incomplete one
//! - [`tables::Table`] (feature `delta`): appends the rows whose key is absent, together with the Kafka offsets that they
//!   came from, exactly once; removes rows by id; compaction, vacuum, checkpoints
//!
//! Where things are:
//!
//! - `files`: the trait and its two implementations
//! - `tables`: begins with an overview; the exactly-once commit is explained in `tables::commit`
//! - `azure`: the connection to OneLake, for both

mod azure;
mod files;
mod lakehouse;
mod location;
#[cfg(feature = "delta")]
pub mod tables;

pub use azure::connection::{ConnectError, Connection};
pub use azure::meter::RequestObserver;
pub use files::content_hash::sha256_hex;
pub use files::open::{OpenFilesError, open, open_files};
pub use files::{Content, FileError, FileSource, FileStore, OpenError};
pub use lakehouse::{LakehouseError, LakehouseKind, TablePlace};
pub use location::{Location, LocationError};

#[cfg(feature = "delta")]
pub use tables::{
    Appended, AttachmentRow, Compacted, DateContents, DateFile, EventRow, FailedRow, FoundRows, Key, Obstacle,
    PlannedCompaction, ReconciliationRow, Removed, RowsOfDates, Source, Sourced, StoreWrapper, Table, TableContents,
    TableError, TableErrorKind, TableInfo, TableOptions, TableRow, VACUUM_RETENTION, Vacuum, Vacuumed, arrow,
    delta_version, writer_properties,
};
