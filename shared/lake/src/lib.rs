//! The lake: OneLake files and Delta tables, the only crate that knows either.
//!
//! - [`Location`]: where something lives, local or in OneLake; [`Connection`]: what opening it takes
//! - [`FileStore`]: puts a finished file at a path; readers never see half of one
//! - [`Table`] (feature `delta`): append the rows whose key is not there yet, together with the offsets
//!   that they came from, or say why not; remove rows by id; compact, vacuum, checkpoint
//!
//! Follow an append through `table` → `append` → `change` → `snapshot` and `key_lookup` → `data_files` → `commit`.

#![forbid(unsafe_code)]

mod content_hash;
mod files;
mod local_files;
mod location;
mod onelake;

pub use content_hash::sha256_hex;
pub use files::{Content, FileError, FileFuture, FileStore, OpenError, open};
pub use location::{Location, LocationError};
pub use onelake::{ConnectError, Connection, RequestObserver};

#[cfg(feature = "delta")]
mod append;
#[cfg(feature = "delta")]
mod byte_lru;
#[cfg(feature = "delta")]
mod candidates;
#[cfg(feature = "delta")]
mod change;
#[cfg(feature = "delta")]
mod change_feed;
#[cfg(feature = "delta")]
mod checkpoint;
#[cfg(feature = "delta")]
mod commit;
#[cfg(feature = "delta")]
mod data_files;
#[cfg(feature = "delta")]
mod features;
#[cfg(feature = "delta")]
mod filter_cache;
#[cfg(feature = "delta")]
mod handle;
#[cfg(feature = "delta")]
mod key_lookup;
#[cfg(feature = "delta")]
mod log_cache;
#[cfg(feature = "delta")]
mod missing_columns;
#[cfg(feature = "delta")]
mod optimize;
#[cfg(feature = "delta")]
mod parquet_read;
#[cfg(feature = "delta")]
mod probe;
#[cfg(feature = "delta")]
mod remove;
#[cfg(feature = "delta")]
mod restored;
#[cfg(feature = "delta")]
mod rewrite;
#[cfg(feature = "delta")]
mod rows;
#[cfg(feature = "delta")]
mod scan;
#[cfg(feature = "delta")]
mod schema;
#[cfg(feature = "delta")]
mod snapshot;
#[cfg(feature = "delta")]
mod store;
#[cfg(feature = "delta")]
mod table;
#[cfg(feature = "delta")]
mod table_error;
#[cfg(feature = "delta")]
mod upkeep;

#[cfg(feature = "delta")]
pub use {
    append::{Appended, Source, Sourced},
    data_files::writer_properties,
    // Whoever reads what `scan` returns needs the arrow that made it.
    deltalake::arrow,
    features::Obstacle,
    optimize::Compacted,
    remove::Removed,
    rows::{AttachmentRow, EventRow, FailedRow, Key, TableRow},
    store::StoreWrapper,
    table::{Table, TableOptions},
    table_error::TableError,
    upkeep::{TableInfo, VACUUM_RETENTION, Vacuumed},
};
