//! The lake: OneLake files and Delta tables, the only crate that knows either.
//!
//! - [`Location`]: where something lives, local or in OneLake; [`Connection`]: what opening it takes
//! - [`FileStore`]: puts a finished file at a path; readers never see half of one
//! - [`Table`] (feature `delta`): append the rows whose key is not there yet, together with the offsets
//!   that they came from, or say why not; remove rows by id; compact, vacuum, checkpoint

mod azure;
mod files;
mod location;
#[cfg(feature = "delta")]
pub mod tables;

pub use azure::connection::{ConnectError, Connection};
pub use azure::meter::RequestObserver;
pub use files::content_hash::sha256_hex;
pub use files::open::open;
pub use files::{Content, FileError, FileFuture, FileStore, OpenError};
pub use location::{Location, LocationError};

#[cfg(feature = "delta")]
pub use tables::{
    Appended, AttachmentRow, Compacted, EventRow, FailedRow, Key, Obstacle, Removed, Source, Sourced, StoreWrapper,
    Table, TableError, TableErrorKind, TableInfo, TableOptions, TableRow, VACUUM_RETENTION, Vacuum, Vacuumed, arrow,
    writer_properties,
};
