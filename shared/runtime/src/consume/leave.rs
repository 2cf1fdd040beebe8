//! The end of a consumer: at once, or after its work is done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::hooks::commit_all;
use super::partition::Partition;
use super::poller::Consumer;

impl Consumer {
    /// Stops at once: no position can be committed any more, so what runs is done again in any case.
    pub(super) fn abandon(self) {
        let hooks = self.hooks();
        hooks.finished.store(true, Ordering::Relaxed);
        hooks.let_go();
        // The wait for the next start is not a stuck thread.
        hooks.health.forget(&hooks.worker);
        hooks.health.forget(&hooks.broker_component());
        // To drop it is to wait for its threads, and that of a broker that was given up may never end.
        std::thread::spawn(move || drop(self));
    }

    /// Drains: nothing new begins, what runs may end within the grace period, its position is committed.
    pub(super) fn finish(self) -> bool {
        let hooks = self.hooks();
        // A long grace period is not a stuck thread.
        hooks.health.forget(&hooks.worker);
        let partitions: Vec<Arc<Partition>> = hooks.partitions().values().cloned().collect();
        for partition in &partitions {
            partition.revoke();
        }
        let deadline = Instant::now() + self.grace;
        let idle = partitions
            .iter()
            .filter(|partition| partition.wait_idle(deadline))
            .count();
        if idle < partitions.len() {
            tracing::warn!(
                worker = hooks.worker,
                partitions = partitions.len() - idle,
                "the grace period is over: unfinished work will be read again"
            );
        }
        commit_all(&self.client, &partitions);
        hooks.finished.store(true, Ordering::Relaxed);
        hooks.health.forget(&hooks.broker_component());
        tracing::info!(worker = hooks.worker, "drained and committed");
        // Dropping the client leaves the group.
        idle == partitions.len()
    }
}
