//! One partition while it is ours: what of it is done, what runs, and whether it was taken away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::offset_tracker::{OffsetTracker, Take};
use xact_contracts::ids::AppId;
use xact_kafka::TablePositions;
use xact_kafka::Wake;

/// An assigned partition. A new one is made at each assignment, so that late work of an earlier one cannot move it.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) id: i32,
    /// The same as a metric's label.
    pub(crate) id_text: String,
    /// `{group}:{topic}:{partition}`.
    pub(crate) app_id: AppId,
    /// Cancelled when the partition is no longer ours, or the process drains: work that has not begun must not begin.
    pub(crate) revoked: CancellationToken,
    /// Cancelled when running work was waited for long enough: it must end where it is.
    pub(crate) abandoned: CancellationToken,
    tracker: Mutex<OffsetTracker>,
    running: AtomicUsize,
    /// How far the stage's tables are, noted before the records that this is true of count as done.
    tables: Mutex<TablePositions>,
    /// The newest commit that was sent, and when.
    requested: Mutex<Option<(i64, Instant)>>,
    /// Its offsets are another topic's, or ahead of the stage's tables: they must not be committed.
    is_stale: AtomicBool,
    /// We hold it back: nothing is expected of it. True until its start position is known.
    is_paused: AtomicBool,
    /// It has to be read again from where its stage says.
    is_outdated: AtomicBool,
    /// The polling thread waits until the window is smaller than this; 0: it does not.
    awaited_below: AtomicUsize,
    wake: Wake,
}

/// A commit that the broker does not show after so long is sent again: librdkafka does not tell of failed ones.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

impl Partition {
    pub(crate) fn new(group: &str, topic: Arc<str>, id: i32, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            app_id: AppId::new(group, &topic, id),
            topic,
            id,
            id_text: id.to_string(),
            revoked: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            tracker: Mutex::default(),
            running: AtomicUsize::new(0),
            tables: Mutex::default(),
            requested: Mutex::default(),
            is_stale: AtomicBool::new(false),
            is_paused: AtomicBool::new(true),
            is_outdated: AtomicBool::new(false),
            awaited_below: AtomicUsize::new(0),
            wake,
        })
    }

    fn tracker(&self) -> MutexGuard<'_, OffsetTracker> {
        self.tracker.lock()
    }

    /// See [`OffsetTracker::take`].
    pub(crate) fn take(&self, offset: i64) -> Take {
        self.tracker().take(offset)
    }

    /// See [`OffsetTracker::begin`].
    pub(crate) fn begin(&self, start: i64) {
        self.tracker().begin(start);
    }

    /// See [`OffsetTracker::pass`].
    pub(crate) fn pass(&self, next: i64) {
        self.tracker().pass(next);
    }

    /// See [`OffsetTracker::done`].
    pub(crate) fn done(&self, offset: i64) {
        let window = {
            let mut tracker = self.tracker();
            tracker.done(offset);
            tracker.window()
        };
        if window < self.awaited_below.load(Ordering::SeqCst) && self.awaited_below.swap(0, Ordering::SeqCst) > 0 {
            self.wake.wake();
        }
    }

    /// Wakes the polling thread as soon as the window is no larger than this. To be called before [`Partition::window`] is
    /// asked: one of the two sees the record that makes it so.
    pub(crate) fn await_window(&self, window: usize) {
        self.awaited_below.store(window + 1, Ordering::SeqCst);
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

    /// Notes how far the stage's tables are.
    pub(crate) fn set_tables(&self, positions: TablePositions) {
        *self.tables.lock() = positions;
    }

    /// How far the stage's tables are, at least.
    pub(crate) fn tables(&self) -> TablePositions {
        self.tables.lock().clone()
    }

    fn requested(&self) -> MutexGuard<'_, Option<(i64, Instant)>> {
        self.requested.lock()
    }

    /// What may be committed now.
    pub(crate) fn position(&self) -> Option<i64> {
        self.tracker()
            .position()
            .filter(|_| !self.is_stale.load(Ordering::Relaxed))
    }

    /// Whether there is a position to commit, or work that will leave one.
    pub(crate) fn is_uncommitted(&self) -> bool {
        let position = self.position();
        let sent = self.requested().map(|(sent, _)| sent);
        self.window() > 0 || position.is_some() && position != sent
    }

    /// A position that was not sent for commit yet, marked as sent.
    pub(crate) fn next_commit(&self, now: Instant) -> Option<i64> {
        let position = self.position()?;
        let mut requested = self.requested();
        let is_new = requested.is_none_or(|(sent, _)| sent != position);
        if is_new {
            *requested = Some((position, now));
        }
        is_new.then_some(position)
    }

    /// What the broker has: a commit that it should have by now is sent again.
    pub(crate) fn committed(&self, committed: i64, now: Instant) {
        let mut requested = self.requested();
        if requested.is_some_and(|(sent, at)| committed < sent && now.duration_since(at) > CONFIRM_WITHIN) {
            *requested = None;
        }
    }

    /// The commit failed: send it again.
    pub(crate) fn commit_failed(&self) {
        *self.requested() = None;
    }

    /// Notes that it is paused, or read again.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// Whether nothing of it is read at the moment because we do not want to.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// The topic is not the one whose offsets were taken here.
    pub(crate) fn went_back(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
    }

    /// Whether nothing was read of it since the assignment.
    pub(crate) fn is_new(&self) -> bool {
        self.tracker().is_new()
    }

    /// The stage's tables are behind what was read here: no work begins any more, nothing is committed, and the polling
    /// thread is woken to begin anew.
    pub(crate) fn read_again(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
        self.is_outdated.store(true, Ordering::Relaxed);
        self.revoke();
        self.wake.wake();
    }

    /// Whether [`Partition::read_again`] was asked for.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Relaxed)
    }

    /// Whether anything was done since the assignment.
    pub(crate) fn has_position(&self) -> bool {
        self.position().is_some()
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
    fn a_position_is_sent_once_unless_the_broker_does_not_show_it() {
        let partition = Partition::new("g", "t".into(), 0, Wake::default());
        let now = Instant::now();
        assert_eq!(partition.next_commit(now), None);
        assert!(!partition.is_uncommitted());
        partition.take(4);
        assert!(partition.is_uncommitted(), "its work will leave a position");
        partition.done(4);
        assert!(partition.is_uncommitted());
        assert_eq!(partition.next_commit(now), Some(5));
        assert!(!partition.is_uncommitted());
        assert_eq!(partition.next_commit(now), None);
        partition.committed(4, now);
        assert_eq!(partition.next_commit(now), None, "it may still be on its way");
        let later = now + CONFIRM_WITHIN + Duration::from_millis(1);
        partition.committed(5, later);
        assert_eq!(partition.next_commit(later), None, "it arrived");
        partition.committed(4, later);
        assert!(partition.is_uncommitted());
        assert_eq!(partition.next_commit(later), Some(5), "it was lost");
        partition.commit_failed();
        assert_eq!(partition.next_commit(later), Some(5));
        partition.went_back();
        assert_eq!(partition.position(), None);
    }

    #[test]
    fn work_that_shrinks_the_window_wakes_the_thread_that_waits_for_it() {
        let wake = Wake::default();
        let partition = Partition::new("g", "t".into(), 0, wake.clone());
        for offset in 0..4 {
            partition.take(offset);
        }
        partition.done(0);
        assert!(!wake.is_awake(), "nobody waits");
        partition.await_window(1);
        // The window ends at the first record that is not done.
        partition.done(2);
        assert!(!wake.is_awake());
        partition.done(1);
        assert!(wake.is_awake());
    }

    #[test]
    fn nothing_begins_on_a_revoked_partition() {
        let partition = Partition::new("g", "t".into(), 0, Wake::default());
        let running = partition.start();
        assert!(running.is_some());
        partition.revoke();
        assert!(partition.start().is_none());
        assert!(!partition.wait_idle(Instant::now()));
        drop(running);
        assert!(partition.wait_idle(Instant::now()));
    }
}
