//! The end of a consumer: after its work is done, or at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::callbacks::broker_component;
use super::commit::commit_final;
use super::consumer::Consumer;
use super::partition::Partition;

impl Consumer {
    /// Stops at once, without a commit: the client cannot reach a broker, so running work is done again in any case.
    pub(super) fn abandon(self) {
        let callbacks = self.callbacks();
        callbacks.drained.store(true, Ordering::Relaxed);
        callbacks.release_all();
        // The heartbeat stops until the worker starts again. That must not count as a stuck thread.
        callbacks.health.forget(&callbacks.worker);
        callbacks.health.forget(&broker_component(&callbacks.worker));
        // Dropping the client waits for its threads, and that of a broker that was given up may never end.
        std::thread::spawn(move || drop(self));
    }

    /// Drains: no new work begins, running work may end within the grace period, and its positions are committed. Returns
    /// whether all work ended in time.
    pub(super) fn drain(self) -> bool {
        let callbacks = self.callbacks();
        // The heartbeat stops for the grace period. That must not count as a stuck thread.
        callbacks.health.forget(&callbacks.worker);
        let partitions: Vec<Arc<Partition>> = callbacks.partitions.lock().values().cloned().collect();
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
                worker = callbacks.worker,
                partitions = partitions.len() - idle,
                "the grace period is over: unfinished work will be read again"
            );
        }
        commit_final(&self.client, &partitions);
        callbacks.drained.store(true, Ordering::Relaxed);
        callbacks.health.forget(&broker_component(&callbacks.worker));
        tracing::info!(worker = callbacks.worker, "drained and committed");
        // Dropping the client leaves the group.
        idle == partitions.len()
    }
}
