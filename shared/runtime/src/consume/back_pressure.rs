//! Back-pressure: partitions are paused while too much is in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;

use super::consumer::Consumer;
use super::partition::Partition;

/// How long the loop waits for room before it pauses partitions. Room usually comes within milliseconds, and each pause
/// discards the records that librdkafka has prefetched. A rebalance may be delayed by this time.
const ROOM_TIMEOUT: Duration = Duration::from_millis(500);

impl Consumer {
    /// Pauses and resumes partitions so that the records in flight stay within the limits.
    ///
    /// Two limits apply. When the records or bytes in flight reach theirs, all partitions are paused until half of it is
    /// free. When the window of one partition (from its position to its newest record) reaches its limit, this partition is
    /// paused until the window has shrunk to half. The distance between pausing and resuming keeps pauses rare.
    pub(super) fn apply_back_pressure(&mut self) {
        if !self.is_full {
            self.wait_for_room();
        }
        self.is_full |= self.memory.is_full();
        if self.is_full {
            self.memory.notify_room();
            self.is_full = !self.memory.has_room();
        }
        let (pause, resume) = self.plan_pauses();
        if pause.count() > 0 {
            let _ = self.client.pause(&pause);
        }
        if resume.count() > 0 {
            let _ = self.client.resume(&resume);
        }
    }

    fn wait_for_room(&self) {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        let mut has_waited = false;
        while self.memory.is_full() && !self.stop.is_cancelled() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.memory.notify_room();
            if self.memory.is_full() {
                self.wake.wait(left);
                has_waited = true;
            }
        }
        if has_waited {
            // A wake-up for records that came meanwhile must not be lost.
            self.wake.wake();
        }
    }

    /// Returns the partitions to pause and those to resume, and notes them as such.
    fn plan_pauses(&mut self) -> (TopicPartitionList, TopicPartitionList) {
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        let limit = self.limits.window;
        let callbacks = self.client.context();
        let partitions = callbacks.partitions.lock();
        self.paused.retain(|key| partitions.contains_key(key));
        let window = |partition: &Arc<Partition>| partition.offsets().window();
        let any_beyond_limit = || partitions.values().any(|partition| window(partition) >= limit);
        if !self.is_full && self.paused.is_empty() && !any_beyond_limit() {
            return (pause, resume);
        }
        let newly_assigned = callbacks.newly_assigned.lock();
        for (key, partition) in partitions.iter() {
            // Paused until its start position is resolved.
            if newly_assigned.iter().any(|new| Arc::ptr_eq(new, partition)) {
                continue;
            }
            let is_paused = self.paused.contains(key);
            let is_beyond_limit = window(partition) >= limit;
            if is_paused || is_beyond_limit {
                partition.notify_window(limit / 2);
            }
            let is_too_large = is_beyond_limit || (is_paused && window(partition) > limit / 2);
            let should_pause = self.is_full || is_too_large;
            if should_pause && !is_paused {
                pause.add_partition(&key.0, key.1);
                partition.set_paused(true);
                self.paused.insert(key.clone());
            } else if is_paused && !should_pause {
                resume.add_partition(&key.0, key.1);
                partition.set_paused(false);
                self.paused.remove(key);
            }
        }
        (pause, resume)
    }
}
