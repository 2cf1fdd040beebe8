//! One partition while it is ours: what of it is done, what runs, and whether it was taken away.

use crate::offsets::OffsetTracker;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// An assigned partition. A new one is made at each assignment, so that late work of an earlier one cannot move it.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) id: i32,
    /// `{group}:{topic}:{partition}`.
    pub(crate) app_id: String,
    /// Cancelled when the partition is no longer ours, or the process drains: work that has not begun must not begin.
    pub(crate) revoked: CancellationToken,
    /// Cancelled when running work was waited for long enough: it must end where it is.
    pub(crate) abandoned: CancellationToken,
    tracker: Mutex<OffsetTracker>,
    running: AtomicUsize,
    /// Position of the newest commit that was sent.
    requested: AtomicI64,
}

const NO_COMMIT: i64 = -1;

impl Partition {
    pub(crate) fn new(group: &str, topic: Arc<str>, id: i32) -> Arc<Self> {
        Arc::new(Self {
            app_id: format!("{group}:{topic}:{id}"),
            topic,
            id,
            revoked: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            tracker: Mutex::default(),
            running: AtomicUsize::new(0),
            requested: AtomicI64::new(NO_COMMIT),
        })
    }

    fn tracker(&self) -> MutexGuard<'_, OffsetTracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`OffsetTracker::take`].
    pub(crate) fn take(&self, offset: i64) -> bool {
        self.tracker().take(offset)
    }

    /// See [`OffsetTracker::done`].
    pub(crate) fn done(&self, offset: i64) {
        self.tracker().done(offset);
    }

    /// Offsets that a crash would deliver again.
    pub(crate) fn window(&self) -> usize {
        self.tracker().window()
    }

    /// Begins work on a record, unless the partition was taken away.
    pub(crate) fn start(self: &Arc<Self>) -> Option<Running> {
        // Counted before the check: `drain` first revokes and then reads the count, so one of the two sees the other.
        let running = Running::new(Arc::clone(self));
        (!self.revoked.is_cancelled()).then_some(running)
    }

    /// Lets nothing begin any more.
    pub(crate) fn revoke(&self) {
        self.revoked.cancel();
    }

    /// Waits for running work until the deadline, then abandons it; false if some still ran. Blocks: for the polling
    /// thread.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> bool {
        while self.running.load(Ordering::SeqCst) > 0 {
            if Instant::now() >= deadline {
                self.abandoned.cancel();
                return false;
            }
            // The thread has nothing else to do, and 5 ms are nothing against a rebalance.
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// A position that was not sent for commit yet, marked as sent.
    pub(crate) fn next_commit(&self) -> Option<i64> {
        let position = self.tracker().position()?;
        (self.requested.swap(position, Ordering::Relaxed) != position).then_some(position)
    }

    /// The commit failed: send it again.
    pub(crate) fn commit_failed(&self) {
        self.requested.store(NO_COMMIT, Ordering::Relaxed);
    }

    /// Whether anything was done since the assignment.
    pub(crate) fn has_position(&self) -> bool {
        self.tracker().position().is_some()
    }
}

/// Work that runs on a record of a partition.
pub(crate) struct Running(Arc<Partition>);

impl Running {
    fn new(partition: Arc<Partition>) -> Self {
        partition.running.fetch_add(1, Ordering::SeqCst);
        Self(partition)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_sent_once_unless_its_commit_failed() {
        let partition = Partition::new("g", "t".into(), 0);
        assert_eq!(partition.next_commit(), None);
        partition.take(4);
        partition.done(4);
        assert_eq!(partition.next_commit(), Some(5));
        assert_eq!(partition.next_commit(), None);
        partition.commit_failed();
        assert_eq!(partition.next_commit(), Some(5));
    }

    #[test]
    fn nothing_begins_on_a_revoked_partition() {
        let partition = Partition::new("g", "t".into(), 0);
        let running = partition.start();
        assert!(running.is_some());
        partition.revoke();
        assert!(partition.start().is_none());
        assert!(!partition.wait_idle(Instant::now()));
        drop(running);
        assert!(partition.wait_idle(Instant::now()));
    }
}
