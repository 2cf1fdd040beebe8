//! Records in flight: read from a partition, and not done yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::limits::Limits;
use super::partition::Partition;
use xact_kafka::{Record, Wake};

/// Receives the records in flight: starts a task for each, or adds them to the next batch.
pub(crate) trait Sink: Send {
    /// Accepts a record. Must not block, because it is called on the polling thread.
    fn accept(&self, in_flight: InFlight);
}

/// A record in flight.
pub(crate) struct InFlight {
    pub(crate) record: Record,
    pub(crate) lease: Lease,
}

/// The right and the duty to complete a record: its holder marks the record as done on the partition, or drops the lease
/// once the partition is revoked.
pub(crate) struct Lease {
    pub(crate) partition: Arc<Partition>,
    /// Counts the record as in memory.
    _memory: MemoryGuard,
}

impl InFlight {
    pub(crate) fn new(record: Record, partition: Arc<Partition>, memory: &Arc<Memory>) -> Self {
        // An estimate of what a record costs in addition to its payload: a task, strings, the decoded message.
        let bytes = record.payload.len() + 1024;
        let lease = Lease {
            partition,
            _memory: memory.reserve(bytes),
        };
        Self { record, lease }
    }
}

/// Counts the records in flight and their bytes against a worker's limits.
#[derive(Debug)]
pub(crate) struct Memory {
    limits: Limits,
    records: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether the polling thread waits for room.
    notifies: AtomicBool,
    wake: Wake,
}

impl Memory {
    pub(crate) fn new(limits: Limits, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            limits,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            notifies: AtomicBool::new(false),
            wake,
        })
    }

    /// Counts a record until the returned guard is dropped.
    fn reserve(self: &Arc<Self>, bytes: usize) -> MemoryGuard {
        self.records.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        MemoryGuard {
            memory: Arc::clone(self),
            bytes,
        }
    }

    /// Whether a limit is reached, so that reading must stop.
    pub(crate) fn is_full(&self) -> bool {
        let limits = &self.limits;
        self.records.load(Ordering::SeqCst) >= limits.records || self.bytes.load(Ordering::SeqCst) >= limits.bytes
    }

    /// Whether half of each limit is free, so that reading may resume. The distance to [`Memory::is_full`] keeps pauses
    /// rare, because each pause discards prefetched records.
    pub(crate) fn has_room(&self) -> bool {
        let limits = &self.limits;
        self.records.load(Ordering::SeqCst) <= limits.records / 2
            && self.bytes.load(Ordering::SeqCst) <= limits.bytes / 2
    }

    /// Wakes the polling thread as soon as there is room. Must be called before [`Memory::has_room`]: then either that call
    /// finds the room, or the guard that makes room finds the request.
    pub(crate) fn notify_room(&self) {
        self.notifies.store(true, Ordering::SeqCst);
    }
}

/// Counts one record as in memory until it is dropped.
struct MemoryGuard {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        let memory = &self.memory;
        memory.records.fetch_sub(1, Ordering::SeqCst);
        memory.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        if memory.notifies.load(Ordering::SeqCst) && memory.has_room() && memory.notifies.swap(false, Ordering::SeqCst)
        {
            memory.wake.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn making_room_wakes_the_waiting_thread() {
        let wake = Wake::default();
        let limits = Limits::of_concurrency(1).with_records(4);
        let memory = Memory::new(limits, wake.clone());
        let mut guards: Vec<MemoryGuard> = (0..4).map(|_| memory.reserve(1)).collect();
        assert!(memory.is_full());
        guards.pop();
        memory.notify_room();
        assert!(!memory.is_full() && !memory.has_room());
        assert!(!wake.is_awake());
        guards.pop();
        assert!(memory.has_room() && wake.is_awake());
        wake.wait(std::time::Duration::ZERO);
        guards.pop();
        assert!(!wake.is_awake(), "the thread does not wait");
    }
}
