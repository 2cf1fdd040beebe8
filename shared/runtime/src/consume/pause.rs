//! Back-pressure: what is held stays within the limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;

use super::poller::Consumer;

/// How long the loop waits for room before it pauses partitions. While work goes on, room comes within milliseconds, and
/// each pause throws away what librdkafka has fetched ahead. A rebalance may wait so much longer.
const PATIENCE: Duration = Duration::from_millis(500);

impl Consumer {
    fn wait_for_room(&self) {
        let until = Instant::now() + PATIENCE;
        while self.held.is_full() && Instant::now() < until && !self.drain.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Pauses and resumes partitions so that what is held stays within the limits.
    pub(super) fn control_flow(&mut self) {
        if !self.full {
            self.wait_for_room();
        }
        if self.held.is_full() {
            self.full = true;
        }
        if self.full {
            self.held.await_room();
            self.full = !self.held.has_room();
        }
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        {
            let hooks = self.client.context();
            let partitions = hooks.partitions();
            self.paused.retain(|key| partitions.contains_key(key));
            if !self.full
                && self.paused.is_empty()
                && !partitions
                    .values()
                    .any(|partition| partition.window() >= self.limits.window)
            {
                return;
            }
            let fresh = hooks.fresh();
            for (key, partition) in partitions.iter() {
                if fresh.iter().any(|waiting| Arc::ptr_eq(waiting, partition)) {
                    continue;
                }
                let is_paused = self.paused.contains(key);
                let is_far = partition.window() >= self.limits.window;
                if is_paused || is_far {
                    partition.await_window(self.limits.window / 2);
                }
                let far_ahead = is_far || (is_paused && partition.window() > self.limits.window / 2);
                match (self.full || far_ahead, is_paused) {
                    (true, false) => {
                        pause.add_partition(&key.0, key.1);
                        partition.set_paused(true);
                        self.paused.insert(key.clone());
                    }
                    (false, true) => {
                        resume.add_partition(&key.0, key.1);
                        partition.set_paused(false);
                        self.paused.remove(key);
                    }
                    _ => {}
                }
            }
        }
        if pause.count() > 0 {
            let _ = self.client.pause(&pause);
        }
        if resume.count() > 0 {
            let _ = self.client.resume(&resume);
        }
    }
}
