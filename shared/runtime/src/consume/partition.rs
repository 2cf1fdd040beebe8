//! One assigned partition: its offsets, its running work, its commits, and whether it was revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;

use super::offset_tracker::OffsetTracker;
use xact_contracts::ids::AppId;
use xact_kafka::{TablePositions, Wake};
use xact_telemetry::metrics::metrics;

/// An assigned partition. Each assignment creates a new one, so that late work of an earlier assignment cannot change it.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) id: i32,
    /// The id as a metric label.
    pub(crate) id_label: String,
    pub(crate) app_id: AppId,
    /// Counts the bytes of its records.
    pub(crate) consumed_bytes: IntCounter,
    /// Cancelled when the partition is revoked or the process drains: no new work may begin.
    pub(crate) revoked: CancellationToken,
    /// Cancelled when running work outlasts the time allowed at a revoke or drain: work on single records stops; batches run
    /// on, and the next owner repeats them. Not cancelled when the assignment is lost: the work ends by itself.
    pub(crate) abandoned: CancellationToken,
    offsets: Mutex<OffsetTracker>,
    running: AtomicUsize,
    /// The positions of the stage's tables. They are set before the records that they include are marked as done, and may
    /// already include later ones.
    pub(crate) table_positions: Mutex<TablePositions>,
    /// The newest commit that was sent, and when.
    last_commit: Mutex<Option<(i64, Instant)>>,
    /// Whether the offsets belong to a deleted topic or are ahead of the stage's tables: they must not be committed.
    is_stale: AtomicBool,
    /// Whether the worker itself has paused the partition. True until its start position is resolved.
    is_paused: AtomicBool,
    needs_reread: AtomicBool,
    /// The polling thread is woken when the window is smaller than this; 0: never.
    notify_below: AtomicUsize,
    wake: Wake,
}

/// Time after which a commit that the statistics do not confirm is sent again.
const COMMIT_CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(5);

impl Partition {
    pub(crate) fn new(group: &str, topic: Arc<str>, id: i32, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            app_id: AppId::new(group, &topic, id),
            consumed_bytes: metrics().consumed_bytes(&topic, group),
            topic,
            id,
            id_label: id.to_string(),
            revoked: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            offsets: Mutex::default(),
            running: AtomicUsize::new(0),
            table_positions: Mutex::default(),
            last_commit: Mutex::default(),
            is_stale: AtomicBool::new(false),
            is_paused: AtomicBool::new(true),
            needs_reread: AtomicBool::new(false),
            notify_below: AtomicUsize::new(0),
            wake,
        })
    }

    /// Returns the offsets. A record is marked as done by [`Partition::done`] alone.
    pub(crate) fn offsets(&self) -> MutexGuard<'_, OffsetTracker> {
        self.offsets.lock()
    }

    /// Marks a record as done ([`OffsetTracker::done`]), and wakes the polling thread if it waits for this.
    pub(crate) fn done(&self, offset: i64) {
        let window = {
            let mut offsets = self.offsets();
            offsets.done(offset);
            offsets.window()
        };
        if window < self.notify_below.load(Ordering::SeqCst) && self.notify_below.swap(0, Ordering::SeqCst) > 0 {
            self.wake.wake();
        }
    }

    /// Wakes the polling thread as soon as the window is no larger than this. Must be called before the window is read: then
    /// either that call finds the smaller window, or the record that shrinks the window finds the request.
    pub(crate) fn notify_window(&self, window: usize) {
        self.notify_below.store(window + 1, Ordering::SeqCst);
    }

    /// Begins work on a record; `None` if the partition was revoked.
    pub(crate) fn start_work(self: &Arc<Self>) -> Option<Running> {
        // Counted before the check. Draining revokes first and then reads the count, so either this work finds the
        // partition revoked, or draining counts this work.
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(self));
        (!self.revoked.is_cancelled()).then_some(running)
    }

    /// Lets no new work begin.
    pub(crate) fn revoke(&self) {
        self.revoked.cancel();
    }

    /// Waits until no work runs, or abandons it at the deadline and returns false. Blocks the polling thread.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> bool {
        while self.running.load(Ordering::SeqCst) > 0 {
            if Instant::now() >= deadline {
                self.abandoned.cancel();
                return false;
            }
            // The thread has nothing else to do, and 5 ms are short compared with a rebalance.
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Returns the offset that may be committed now.
    pub(crate) fn position(&self) -> Option<i64> {
        let position = self.offsets().position();
        position.filter(|_| !self.is_stale.load(Ordering::Relaxed))
    }

    /// Whether there is a position to commit, or work in flight that will result in one.
    pub(crate) fn is_uncommitted(&self) -> bool {
        let position = self.position();
        let sent = self.last_commit.lock().map(|(sent, _)| sent);
        self.offsets().window() > 0 || position.is_some() && position != sent
    }

    /// Returns a position that was not sent for commit yet, and marks it as sent.
    pub(crate) fn next_commit(&self, now: Instant) -> Option<i64> {
        let position = self.position()?;
        let mut last_commit = self.last_commit.lock();
        let is_new = last_commit.is_none_or(|(sent, _)| sent != position);
        if is_new {
            *last_commit = Some((position, now));
        }
        is_new.then_some(position)
    }

    /// Compares the broker's committed offset with the last commit. An unconfirmed one is sent again after a timeout.
    ///
    /// librdkafka (2.12.1) reports no result of a manual asynchronous commit: `rd_kafka_commit` in rdkafka_offset.c passes no
    /// reply queue, and `rd_kafka_cgrp_propagate_commit_result` in rdkafka_cgrp.c then only logs COMMITFAIL unless
    /// `offset_commit_cb` is set, which rdkafka does not set. The committed offset in the statistics is the only confirmation.
    pub(crate) fn confirm_commit(&self, committed: i64, now: Instant) {
        let mut last_commit = self.last_commit.lock();
        let is_lost =
            |(sent, at): (i64, Instant)| committed < sent && now.duration_since(at) > COMMIT_CONFIRMATION_TIMEOUT;
        if last_commit.is_some_and(is_lost) {
            *last_commit = None;
        }
    }

    /// Sends the last commit again.
    pub(crate) fn commit_failed(&self) {
        *self.last_commit.lock() = None;
    }

    /// Records that the worker has paused or resumed the partition.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// Whether the worker itself has paused the partition.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Prevents further commits, because the tracked offsets belong to a deleted topic.
    pub(crate) fn mark_stale(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
    }

    /// Requests that the partition is read again from the position of the stage's tables, which is before the records at
    /// hand. No new work begins, nothing is committed, and the consumer is restarted.
    pub(crate) fn request_reread(&self) {
        self.mark_stale();
        self.needs_reread.store(true, Ordering::Relaxed);
        self.revoke();
        self.wake.wake();
    }

    /// Whether [`Partition::request_reread`] was called.
    pub(crate) fn needs_reread(&self) -> bool {
        self.needs_reread.load(Ordering::Relaxed)
    }
}

/// Running work on a record of a partition.
pub(crate) struct Running(Arc<Partition>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_committed_once_unless_it_is_not_confirmed() {
        let partition = Partition::new("g", "t".into(), 0, Wake::default());
        let now = Instant::now();
        assert_eq!(partition.next_commit(now), None);
        assert!(!partition.is_uncommitted());
        partition.offsets().track(4);
        assert!(partition.is_uncommitted(), "its work will leave a position");
        partition.done(4);
        assert!(partition.is_uncommitted());
        assert_eq!(partition.next_commit(now), Some(5));
        assert!(!partition.is_uncommitted());
        assert_eq!(partition.next_commit(now), None);
        partition.confirm_commit(4, now);
        assert_eq!(partition.next_commit(now), None, "it may still be in flight");
        let later = now + COMMIT_CONFIRMATION_TIMEOUT + Duration::from_millis(1);
        partition.confirm_commit(5, later);
        assert_eq!(partition.next_commit(later), None, "it arrived");
        partition.confirm_commit(4, later);
        assert!(partition.is_uncommitted());
        assert_eq!(partition.next_commit(later), Some(5), "it was lost");
        partition.commit_failed();
        assert_eq!(partition.next_commit(later), Some(5));
        partition.mark_stale();
        assert_eq!(partition.position(), None);
    }

    #[test]
    fn shrinking_the_window_wakes_the_waiting_thread() {
        let wake = Wake::default();
        let partition = Partition::new("g", "t".into(), 0, wake.clone());
        for offset in 0..4 {
            partition.offsets().track(offset);
        }
        partition.done(0);
        assert!(!wake.is_awake(), "the thread does not wait");
        partition.notify_window(1);
        // The window ends at the first record that is not done.
        partition.done(2);
        assert!(!wake.is_awake());
        partition.done(1);
        assert!(wake.is_awake());
    }

    #[test]
    fn no_work_begins_on_a_revoked_partition() {
        let partition = Partition::new("g", "t".into(), 0, Wake::default());
        let running = partition.start_work();
        assert!(running.is_some());
        partition.revoke();
        assert!(partition.start_work().is_none());
        assert!(!partition.wait_idle(Instant::now()));
        drop(running);
        assert!(partition.wait_idle(Instant::now()));
    }
}
