//! How much may be held in memory at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bounds of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages that are worked on at the same time.
    pub concurrency: usize,
    /// Records held in memory: waiting, worked on, or held until they are due.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Offsets of one partition between the position and the newest record: what a crash would deliver again.
    pub window: usize,
}

impl Limits {
    /// Bounds that suit small messages.
    #[must_use]
    pub const fn of_concurrency(concurrency: usize) -> Self {
        Self {
            concurrency,
            records: 10_000,
            bytes: 32 * 1024 * 1024,
            window: 20_000,
        }
    }

    /// The same with another number of records in memory.
    #[must_use]
    pub const fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }
}

/// Records and bytes that are held now.
#[derive(Debug, Default)]
pub(crate) struct Held {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Held {
    /// Counts a record until the returned guard is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Outstanding {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Outstanding {
            held: Arc::clone(self),
            bytes,
        }
    }

    /// At or over a bound: stop reading.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        self.records.load(Ordering::Relaxed) >= limits.records || self.bytes.load(Ordering::Relaxed) >= limits.bytes
    }

    /// Well under the bounds: read on. The gap to [`Held::is_full`] keeps pausing rare, for each pause throws
    /// prefetched records away.
    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        self.records.load(Ordering::Relaxed) <= limits.records / 2
            && self.bytes.load(Ordering::Relaxed) <= limits.bytes / 2
    }
}

/// Counts one record as held in memory until it is dropped.
pub(crate) struct Outstanding {
    held: Arc<Held>,
    bytes: usize,
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.held.records.fetch_sub(1, Ordering::Relaxed);
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
