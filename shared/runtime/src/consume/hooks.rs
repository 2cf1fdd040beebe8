//! What librdkafka calls back: rebalances, commit answers, statistics. All on the polling thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus::IntGauge;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::partition::Partition;
use super::stuck::{Reading, Standstills};
use xact_contracts::redaction::redact_text;
use xact_kafka::CommitMetadata;
use xact_kafka::Wake;
use xact_kafka::{Connection, TopicAuthorization};
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// Partitions by topic and number.
pub(super) type Partitions = HashMap<(Arc<str>, i32), Arc<Partition>>;

/// State that the callbacks and the polling loop share.
pub(super) struct Hooks {
    pub(super) worker: String,
    pub(super) group: String,
    pub(super) health: Health,
    pub(super) connection: Connection,
    /// Whether the topics may be read.
    pub(super) rights: TopicAuthorization,
    /// Longest wait for running work when partitions are taken away.
    pub(super) revoke_grace: Duration,
    /// Ours now.
    pub(super) partitions: Mutex<Partitions>,
    /// Assigned, and not yet looked at by `prime`: paused until then.
    pub(super) fresh: Mutex<Vec<Arc<Partition>>>,
    /// The group has answered at least once.
    pub(super) joined: AtomicBool,
    /// In the group now, as the last statistics said: it has its share, which may be nothing, and no rebalance is on.
    pub(super) is_steady: AtomicBool,
    /// The worker has drained: what still runs was waited for long enough.
    pub(super) finished: AtomicBool,
    /// Partitions that do not move.
    pub(super) standstills: Standstills,
    /// What the client skipped by itself, in its words: see [`is_skipped`].
    pub(super) skipped: Mutex<Option<String>>,
    /// Events that librdkafka's queue held and that came here. A poll that returns nothing may have served one.
    pub(super) served: AtomicU64,
    /// Wakes the polling thread.
    pub(super) wake: Wake,
}

impl Hooks {
    pub(super) fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock()
    }

    pub(super) fn fresh(&self) -> MutexGuard<'_, Vec<Arc<Partition>>> {
        self.fresh.lock()
    }

    fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn broker_component(&self) -> String {
        broker_component(&self.worker)
    }

    /// The topics may not be read: what that means, and what to do.
    pub(super) fn tell_refused(&self, error: &str) {
        let reason = self.rights.denied(self.connection.principal(), error);
        self.health.down(&self.worker, reason);
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        // Nothing is read before `prime` has looked at the positions.
        if let Err(error) = consumer.pause(list) {
            tracing::debug!(%error, "pausing new partitions");
        }
        let mut partitions = self.partitions();
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        for element in list.elements() {
            let topic = Arc::clone(
                names
                    .entry(element.topic().to_owned())
                    .or_insert_with_key(|name| name.as_str().into()),
            );
            let wake = self.wake.clone();
            let partition = Partition::new(&self.group, Arc::clone(&topic), element.partition(), wake);
            partitions.insert((topic, element.partition()), Arc::clone(&partition));
            self.fresh().push(partition);
        }
        self.joined.store(true, Ordering::Relaxed);
        self.gauge().add(count(list.count()));
        tracing::info!(
            worker = self.worker,
            new = list.count(),
            now = partitions.len(),
            "partitions assigned"
        );
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let leaving: Vec<Arc<Partition>> = {
            let mut partitions = self.partitions();
            list.elements()
                .iter()
                .filter_map(|element| partitions.remove(&(element.topic().into(), element.partition())))
                .collect()
        };
        self.fresh()
            .retain(|fresh| !leaving.iter().any(|left| Arc::ptr_eq(left, fresh)));
        for partition in &leaving {
            partition.revoke();
            self.forget_lag(partition);
        }
        // A lost assignment is someone else's already: nothing to wait for, nothing to commit.
        if !lost && !self.finished.load(Ordering::Relaxed) {
            let deadline = Instant::now() + self.revoke_grace;
            let idle = leaving.iter().filter(|partition| partition.wait_idle(deadline)).count();
            if idle < leaving.len() {
                tracing::warn!(
                    worker = self.worker,
                    abandoned = leaving.len() - idle,
                    "work still ran when its partitions went: it will be done again elsewhere"
                );
            }
            commit_all(consumer, &leaving);
        }
        let left = self.partitions().len();
        self.gauge().sub(count(leaving.len()));
        tracing::info!(
            worker = self.worker,
            gone = leaving.len(),
            now = left,
            lost,
            "partitions revoked"
        );
    }

    /// Another process tells the lag from now on: a last value that stays would raise alarms for ever.
    fn forget_lag(&self, partition: &Partition) {
        self.standstills.forget(partition);
    }

    /// Nothing is ours any more.
    pub(super) fn let_go(&self) {
        let partitions = std::mem::take(&mut *self.partitions());
        self.fresh().clear();
        self.gauge().sub(count(partitions.len()));
        for partition in partitions.values() {
            partition.revoke();
            self.forget_lag(partition);
        }
    }

    /// Several workers of one process may be in the same group: each adds what it has.
    fn gauge(&self) -> IntGauge {
        metrics().assigned_partitions(&self.group)
    }
}

/// What health calls a worker's connection.
pub(super) fn broker_component(worker: &str) -> String {
    format!("{worker}/broker")
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn count(partitions: usize) -> i64 {
    i64::try_from(partitions).unwrap_or(i64::MAX)
}

/// Sends the positions that moved since the last commit, and does not wait for the answer: [`Partition::committed`]
/// notices what is lost.
pub(super) fn commit_moved(consumer: &BaseConsumer<Hooks>, partitions: &[Arc<Partition>]) {
    let now = Instant::now();
    let moved = |partition: &Arc<Partition>| Some((Arc::clone(partition), partition.next_commit(now)?));
    let moved: Vec<_> = partitions.iter().filter_map(moved).collect();
    if let Err(error) = send(consumer, &moved, CommitMode::Async) {
        tracing::debug!(%error, "commit not sent; it is sent again");
        for (partition, _) in moved {
            partition.commit_failed();
        }
    }
}

/// Sends all positions and waits until the broker has them: before partitions go.
pub(super) fn commit_all(consumer: &BaseConsumer<Hooks>, partitions: &[Arc<Partition>]) {
    let all = |partition: &Arc<Partition>| Some((Arc::clone(partition), partition.position()?));
    let all: Vec<_> = partitions.iter().filter_map(all).collect();
    for _ in 0..COMMIT_TRIES {
        match send(consumer, &all, CommitMode::Sync) {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "last commit refused"),
        }
        std::thread::sleep(COMMIT_PAUSE);
    }
    tracing::warn!("the last positions could not be committed: what is behind the committed ones will be read again");
}

fn send(consumer: &BaseConsumer<Hooks>, positions: &[(Arc<Partition>, i64)], mode: CommitMode) -> KafkaResult<()> {
    if positions.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (partition, position) in positions {
        let tables = partition.tables();
        if tables.is_empty() {
            list.add_partition_offset(&partition.topic, partition.id, Offset::Offset(*position))?;
        } else {
            CommitMetadata::Tables(tables).add_to(&mut list, &partition.topic, partition.id, *position)?;
        }
    }
    consumer.commit(&list, mode)
}

/// Tries of the last commit, and the pause between them: a coordinator that moves needs a moment.
const COMMIT_TRIES: usize = 3;
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// The connection's business, except for the lag.
impl ClientContext for Hooks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Connection::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.count_served();
        // The position is not in the partition any more, and reading begins elsewhere: that is more than a detail.
        if fac == "OFFSET" && matches!(level, RDKafkaLogLevel::Warning) {
            tracing::warn!(worker = self.worker, "{message}");
        }
        self.connection.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.count_served();
        let code = error.rdkafka_error_code();
        let name = code.map_or_else(|| "other".to_owned(), |code| format!("{code:?}"));
        metrics().consumer_errors(&self.group, &name).inc();
        if is_skipped(reason) {
            *self.skipped.lock() = Some(redact_text(reason));
        }
        self.connection.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.count_served();
        self.connection.generate_oauth_token(config)
    }

    fn stats(&self, statistics: Statistics) {
        self.count_served();
        let partitions = self.partitions();
        let now = Instant::now();
        let mut readings = Vec::with_capacity(partitions.len());
        for (topic, stats) in &statistics.topics {
            for (id, partition) in &stats.partitions {
                let Some(ours) = partitions.get(&(topic.as_str().into(), *id)) else {
                    continue;
                };
                ours.committed(partition.committed_offset, now);
                readings.push((Arc::clone(ours), Reading::of(partition)));
                if partition.hi_offset < 0 {
                    continue;
                }
                let position = if partition.committed_offset >= 0 {
                    partition.committed_offset
                } else {
                    partition.lo_offset.max(0)
                };
                let (id, group) = (&ours.id_text, &self.group);
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
        self.standstills.look(&readings, errors, now);
    }
}

/// Whether the error says that the client itself goes on behind a batch that it cannot read: of an unknown message format,
/// or with a wrong checksum. All other errors leave the position where it is.
fn is_skipped(reason: &str) -> bool {
    reason.starts_with("Unsupported Message(Set) MagicByte") || reason.contains("failed CRC32")
}

impl ConsumerContext for Hooks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.count_served();
        if let Rebalance::Revoke(list) = rebalance {
            self.revoked(consumer, list);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(consumer, list),
            Rebalance::Error(error) => {
                tracing::warn!(worker = self.worker, %error, "rebalance failed; the group tries again");
            }
            Rebalance::Revoke(_) => {}
        }
    }

    fn commit_callback(&self, _: KafkaResult<()>, _: &TopicPartitionList) {
        self.count_served();
    }
}
