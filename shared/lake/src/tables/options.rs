//! Options of a table.

use std::time::Duration;

use crate::azure::connection::Connection;
use crate::tables::store::StoreWrapper;

/// Options of a table. The defaults are for production.
#[derive(Clone)]
pub struct TableOptions {
    /// Memory for the bloom filters of data files, in bytes.
    pub filter_cache_bytes: usize,
    /// How often the storage is asked whether the table is still the one that was loaded: one request each.
    pub confirm_every: Duration,
    /// Commits between two checkpoints.
    pub checkpoint_every: u32,
    /// Attempts that may conflict with other writers before a change returns `Unavailable`.
    pub conflict_attempts: u32,
    /// Attempts that the storage may fail before a change returns `Unavailable`.
    pub storage_attempts: u32,
    /// Size of a data file at which a rewrite begins the next one, in bytes.
    pub target_file_bytes: u64,
    /// Limit of the first wait between two attempts; it doubles, at most five times.
    pub backoff: Duration,
    /// The connection to the table's location.
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
