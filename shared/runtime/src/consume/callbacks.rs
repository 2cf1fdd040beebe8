//! librdkafka's callbacks: rebalances, errors, statistics, tokens. All run on the polling thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntGauge;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, TopicPartitionList};

use super::commit::commit_final;
use super::partition::Partition;
use super::stuck_partitions::{PartitionStatistics, StuckPartitions};
use xact_contracts::redaction::redact_text;
use xact_kafka::{Connection, TopicAuthorization, Wake};
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// Partitions by topic and number.
pub(super) type Partitions = HashMap<(Arc<str>, i32), Arc<Partition>>;

/// State shared by the callbacks and the polling loop.
pub(super) struct Callbacks {
    pub(super) worker: String,
    pub(super) group: String,
    pub(super) health: Health,
    pub(super) connection: Connection,
    pub(super) authorization: TopicAuthorization,
    /// Longest wait for running work when partitions are revoked.
    pub(super) revoke_timeout: Duration,
    /// The current assignment.
    pub(super) partitions: Mutex<Partitions>,
    /// Assigned partitions whose start position is not resolved yet. They are paused until then.
    pub(super) newly_assigned: Mutex<Vec<Arc<Partition>>>,
    /// Whether an assignment (possibly empty) came since the last error about a missing topic or authorization.
    pub(super) joined: AtomicBool,
    /// Whether the last statistics show a group member with a (possibly empty) assignment and no rebalance in progress.
    pub(super) is_steady: AtomicBool,
    /// Whether the consumer has ended, drained or not: a revocation waits for nothing and commits nothing.
    pub(super) drained: AtomicBool,
    pub(super) stuck_partitions: StuckPartitions,
    /// librdkafka's error for a batch that it has skipped ([`is_skipped_batch`]).
    pub(super) skipped_batch: Mutex<Option<String>>,
    /// Number of events that the callbacks have received. A poll that returns nothing may have served one.
    pub(super) events_served: AtomicU64,
    /// Wakes the polling thread.
    pub(super) wake: Wake,
}

impl Callbacks {
    /// Reports to health that access to the topics was denied, and what to do about it.
    pub(super) fn report_denied(&self, error: &str) {
        let reason = self.authorization.denied(self.connection.principal(), error);
        self.health.down(&self.worker, reason);
    }

    fn count_event(&self) {
        self.events_served.fetch_add(1, Ordering::Relaxed);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        // Nothing is read before the start positions are resolved.
        if let Err(error) = consumer.pause(list) {
            tracing::debug!(%error, "pausing new partitions");
        }
        let mut partitions = self.partitions.lock();
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        for element in list.elements() {
            let name = names.entry(element.topic().to_owned());
            let topic = Arc::clone(name.or_insert_with_key(|name| name.as_str().into()));
            let wake = self.wake.clone();
            let partition = Partition::new(&self.group, Arc::clone(&topic), element.partition(), wake);
            partitions.insert((topic, element.partition()), Arc::clone(&partition));
            self.newly_assigned.lock().push(partition);
        }
        self.joined.store(true, Ordering::Relaxed);
        self.assigned_gauge().add(count(list.count()));
        let (new, now) = (list.count(), partitions.len());
        tracing::info!(worker = self.worker, new, now, "partitions assigned");
    }

    /// Revokes partitions.
    ///
    /// The group waits in this callback. First no new work may begin on the partitions; then the running work may end within
    /// the timeout, after which it is abandoned; then the positions that it left are committed, so that the next owner starts
    /// after them. Work that was abandoned is done again by the next owner. A lost assignment may already belong to another
    /// member, so it is neither waited for nor committed.
    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let revoked: Vec<Arc<Partition>> = {
            let mut partitions = self.partitions.lock();
            let keys = list.elements();
            let keys = keys.iter().map(|element| (element.topic().into(), element.partition()));
            keys.filter_map(|key| partitions.remove(&key)).collect()
        };
        self.newly_assigned
            .lock()
            .retain(|new| !revoked.iter().any(|revoked| Arc::ptr_eq(revoked, new)));
        for partition in &revoked {
            partition.revoke();
            self.stuck_partitions.forget(partition);
        }
        if !lost && !self.drained.load(Ordering::Relaxed) {
            let deadline = Instant::now() + self.revoke_timeout;
            let idle = revoked.iter().filter(|partition| partition.wait_idle(deadline)).count();
            if idle < revoked.len() {
                tracing::warn!(
                    worker = self.worker,
                    abandoned = revoked.len() - idle,
                    "work still ran when its partitions were revoked: their next owner does it again"
                );
            }
            commit_final(consumer, &revoked);
        }
        self.assigned_gauge().sub(count(revoked.len()));
        let (gone, now) = (revoked.len(), self.partitions.lock().len());
        tracing::info!(worker = self.worker, gone, now, lost, "partitions revoked");
    }

    /// Gives up the whole assignment.
    pub(super) fn release_all(&self) {
        let partitions = std::mem::take(&mut *self.partitions.lock());
        self.newly_assigned.lock().clear();
        self.assigned_gauge().sub(count(partitions.len()));
        for partition in partitions.values() {
            partition.revoke();
            self.stuck_partitions.forget(partition);
        }
    }

    /// Returns the gauge of the group. Each worker of the process adds its own partitions.
    fn assigned_gauge(&self) -> IntGauge {
        metrics().assigned_partitions(&self.group)
    }
}

/// Returns the health component of a worker's connection.
pub(super) fn broker_component(worker: &str) -> String {
    format!("{worker}/broker")
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.release_all();
    }
}

fn count(partitions: usize) -> i64 {
    i64::try_from(partitions).unwrap_or(i64::MAX)
}

/// Passes events on to the connection. The statistics also update lag, commits and stuck partitions.
impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Connection::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.count_event();
        // The position has expired and reading continues elsewhere: log a warning.
        if fac == "OFFSET" && matches!(level, RDKafkaLogLevel::Warning) {
            tracing::warn!(worker = self.worker, "{message}");
        }
        self.connection.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.count_event();
        let code = error.rdkafka_error_code();
        let name = code.map_or_else(|| "other".to_owned(), |code| format!("{code:?}"));
        metrics().consumer_errors(&self.group, &name).inc();
        if is_skipped_batch(reason) {
            *self.skipped_batch.lock() = Some(redact_text(reason));
        }
        self.connection.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.count_event();
        self.connection.generate_oauth_token(config)
    }

    fn stats(&self, statistics: Statistics) {
        self.count_event();
        let partitions = self.partitions.lock();
        let now = Instant::now();
        let mut observed = Vec::with_capacity(partitions.len());
        for (topic, stats) in &statistics.topics {
            for (id, partition) in &stats.partitions {
                let Some(assigned) = partitions.get(&(topic.as_str().into(), *id)) else {
                    continue;
                };
                assigned.confirm_commit(partition.committed_offset, now);
                observed.push((Arc::clone(assigned), PartitionStatistics::of(partition)));
                if partition.hi_offset < 0 {
                    continue;
                }
                let committed = Some(partition.committed_offset).filter(|&offset| offset >= 0);
                let position = committed.unwrap_or(partition.lo_offset.max(0));
                let (id, group) = (&assigned.id_label, &self.group);
                let lag = (partition.hi_offset - position).max(0);
                metrics().lag(topic, id, group).set(lag);
                metrics().offset(topic, id, group).set(position);
            }
        }
        drop(partitions);
        if let Some(group) = &statistics.cgrp {
            self.is_steady.store(group.join_state == "steady", Ordering::Relaxed);
        }
        self.connection.stats(statistics);
        let errors = Some(self.connection.read_errors()).filter(|_| self.connection.current_error().is_none());
        self.stuck_partitions.observe(&observed, errors, now);
    }
}

/// Whether librdkafka has skipped a batch that it cannot read: one with an unknown message format or a wrong checksum. After
/// any other error its position stays where it is.
fn is_skipped_batch(reason: &str) -> bool {
    reason.starts_with("Unsupported Message(Set) MagicByte") || reason.contains("failed CRC32")
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.count_event();
        if let Rebalance::Revoke(list) = rebalance {
            self.revoke(consumer, list);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assign(consumer, list),
            Rebalance::Error(error) => {
                tracing::warn!(worker = self.worker, %error, "rebalance failed; the group retries");
            }
            Rebalance::Revoke(_) => {}
        }
    }

    /// Not called for asynchronous commits, see [`Partition::confirm_commit`]; counts an event if it ever is.
    fn commit_callback(&self, _: KafkaResult<()>, _: &TopicPartitionList) {
        self.count_event();
    }
}
