//! How much may be held in memory at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use xact_kafka::Wake;

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
#[derive(Debug)]
pub(crate) struct Held {
    limits: Limits,
    records: AtomicUsize,
    bytes: AtomicUsize,
    /// The polling thread waits for room.
    is_awaited: AtomicBool,
    wake: Wake,
}

impl Held {
    pub(crate) fn new(limits: Limits, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            limits,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            wake,
        })
    }

    /// Counts a record until the returned guard is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Outstanding {
        self.records.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Outstanding {
            held: Arc::clone(self),
            bytes,
        }
    }

    /// At or over a bound: stop reading.
    pub(crate) fn is_full(&self) -> bool {
        let limits = &self.limits;
        self.records.load(Ordering::SeqCst) >= limits.records || self.bytes.load(Ordering::SeqCst) >= limits.bytes
    }

    /// Well under the bounds: read on. The gap to [`Held::is_full`] keeps pausing rare, for each pause throws
    /// prefetched records away.
    pub(crate) fn has_room(&self) -> bool {
        let limits = &self.limits;
        self.records.load(Ordering::SeqCst) <= limits.records / 2
            && self.bytes.load(Ordering::SeqCst) <= limits.bytes / 2
    }

    /// Wakes the polling thread as soon as there is room. To be called before [`Held::has_room`] is asked: one of the two
    /// sees the record that makes the room.
    pub(crate) fn await_room(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
    }
}

/// Counts one record as held in memory until it is dropped.
pub(crate) struct Outstanding {
    held: Arc<Held>,
    bytes: usize,
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        let held = &self.held;
        held.records.fetch_sub(1, Ordering::SeqCst);
        held.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        if held.is_awaited.load(Ordering::SeqCst) && held.has_room() && held.is_awaited.swap(false, Ordering::SeqCst) {
            held.wake.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_makes_room_wakes_the_thread_that_waits_for_it() {
        let wake = Wake::default();
        let limits = Limits::of_concurrency(1).with_records(4);
        let held = Held::new(limits, wake.clone());
        let mut outstanding: Vec<Outstanding> = (0..4).map(|_| held.hold(1)).collect();
        assert!(held.is_full());
        outstanding.pop();
        held.await_room();
        assert!(!held.is_full() && !held.has_room());
        assert!(!wake.is_awake());
        outstanding.pop();
        assert!(held.has_room() && wake.is_awake());
        wake.wait(std::time::Duration::ZERO);
        outstanding.pop();
        assert!(!wake.is_awake(), "nobody waits any more");
    }
}
