//! How a table behaves.

use std::time::Duration;

use crate::azure::connection::Connection;
use crate::tables::store::StoreWrapper;

/// How a table behaves. The defaults are what production uses.
#[derive(Clone)]
pub struct TableOptions {
    /// Memory for the bloom filters of data files, in bytes.
    pub filter_cache_bytes: usize,
    /// How often the storage is asked whether the table is still the one that was loaded: one request each.
    pub confirm_every: Duration,
    /// Commits between two checkpoints.
    pub checkpoint_every: u32,
    /// How often an append is done again because another writer was faster, before it answers `Unavailable`.
    pub conflict_attempts: u32,
    /// How often a commit is tried again that the storage refused, before it answers `Unavailable`.
    pub storage_attempts: u32,
    /// Size of a data file at which a rewrite begins the next one, in bytes.
    pub target_file_bytes: u64,
    /// The first wait between two attempts is up to this long; it doubles, at most five times.
    pub backoff: Duration,
    /// What the location takes to be opened.
    pub connection: Connection,
    #[doc(hidden)]
    pub store_wrapper: Option<StoreWrapper>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            filter_cache_bytes: 32 * 1024 * 1024,
            confirm_every: Duration::from_secs(60),
            checkpoint_every: 100,
            conflict_attempts: 60,
            storage_attempts: 3,
            target_file_bytes: 128 * 1024 * 1024,
            backoff: Duration::from_millis(20),
            connection: Connection::local(),
            store_wrapper: None,
        }
    }
}
