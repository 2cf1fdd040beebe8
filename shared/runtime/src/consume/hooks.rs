//! What librdkafka calls back: rebalances, commit answers, statistics, errors. All on the polling thread.

use super::partition::Partition;
use crate::health::Health;
use crate::metrics::metrics;
use crate::produce::{is_connected, log_librdkafka, silence};
use prometheus::IntGauge;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Partitions by topic and number.
pub(super) type Partitions = HashMap<(Arc<str>, i32), Arc<Partition>>;

/// State that the callbacks and the polling loop share.
pub(super) struct Hooks {
    pub(super) worker: String,
    pub(super) group: String,
    pub(super) health: Health,
    /// For messages about the connection.
    pub(super) bootstrap_servers: String,
    /// A fetch is answered before that, or the broker hangs.
    pub(super) silent_after: Duration,
    /// Longest wait for running work when partitions are taken away.
    pub(super) revoke_grace: Duration,
    /// Ours now.
    pub(super) partitions: Mutex<Partitions>,
    /// Assigned, and not yet looked at by `prime`: paused until then.
    pub(super) fresh: Mutex<Vec<Arc<Partition>>>,
    /// The group has answered at least once.
    pub(super) joined: AtomicBool,
    /// The worker has drained: what still runs was waited for long enough.
    pub(super) finished: AtomicBool,
    /// Health tells why one broker cannot be used: "all brokers are down" would only hide that.
    pub(super) cause_told: AtomicBool,
}

impl Hooks {
    pub(super) fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fresh(&self) -> MutexGuard<'_, Vec<Arc<Partition>>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn broker_component(&self) -> String {
        format!("{}/broker", self.worker)
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
            let partition = Partition::new(&self.group, Arc::clone(&topic), element.partition());
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
        let labels = [&*partition.topic, &partition.id.to_string(), &self.group];
        // Fails where nothing was told yet.
        let _ = metrics().lag.remove_label_values(&labels);
        let _ = metrics().offset.remove_label_values(&labels);
    }

    /// Several workers of one process may be in the same group: each adds what it has.
    fn gauge(&self) -> IntGauge {
        metrics().assigned_partitions.with_label_values(&[self.group.as_str()])
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        let partitions = std::mem::take(&mut *self.partitions());
        self.gauge().sub(count(partitions.len()));
        for partition in partitions.values() {
            self.forget_lag(partition);
        }
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
        list.add_partition_offset(&partition.topic, partition.id, Offset::Offset(*position))?;
    }
    consumer.commit(&list, mode)
}

/// Tries of the last commit, and the pause between them: a coordinator that moves needs a moment.
const COMMIT_TRIES: usize = 3;
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// What to do about [`is_authorization`].
pub(super) const NOT_ALLOWED: &str =
    "access is refused: the identity or policy needs the right to Listen on the topic and to use the consumer group";

pub(super) const fn is_authorization(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

impl ClientContext for Hooks {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log_librdkafka(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let advice = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => {
                "the credentials are refused: check the connection string and its policy's Listen and Send rights"
            }
            Some(RDKafkaErrorCode::Resolve) => "the broker's name is unknown: check the bootstrap servers",
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure) => {
                "no broker answers: check that it runs, the bootstrap servers and the network"
            }
            Some(code) if is_authorization(code) => NOT_ALLOWED,
            _ => {
                tracing::debug!(worker = self.worker, %error, reason, "librdkafka consumer");
                return;
            }
        };
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if is_summary && self.cause_told.load(Ordering::Relaxed) {
            return;
        }
        self.cause_told.store(!is_summary, Ordering::Relaxed);
        self.health.down(
            &self.broker_component(),
            format!("{}: {advice} ({reason})", self.bootstrap_servers),
        );
    }

    fn stats(&self, statistics: Statistics) {
        let silence = silence(&statistics).filter(|silence| *silence > self.silent_after);
        let connected = is_connected(&statistics) && silence.is_none();
        metrics()
            .connection
            .with_label_values(&["consumer"])
            .set(i64::from(connected));
        if connected {
            self.cause_told.store(false, Ordering::Relaxed);
            self.health.up(&self.broker_component());
        } else if let Some(silence) = silence {
            self.health.down(
                &self.broker_component(),
                format!(
                    "{}: the broker is connected but has not answered for {} s: check whether it hangs, and the network",
                    self.bootstrap_servers,
                    silence.as_secs()
                ),
            );
        }
        let partitions = self.partitions();
        let now = Instant::now();
        for (topic, stats) in &statistics.topics {
            for (id, partition) in &stats.partitions {
                let Some(ours) = partitions.get(&(topic.as_str().into(), *id)) else {
                    continue;
                };
                ours.committed(partition.committed_offset, now);
                if partition.hi_offset < 0 {
                    continue;
                }
                let position = if partition.committed_offset >= 0 {
                    partition.committed_offset
                } else {
                    partition.lo_offset.max(0)
                };
                let labels = [topic.as_str(), &id.to_string(), &self.group];
                metrics()
                    .lag
                    .with_label_values(&labels)
                    .set((partition.hi_offset - position).max(0));
                metrics().offset.with_label_values(&labels).set(position);
            }
        }
    }
}

impl ConsumerContext for Hooks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Broker;

    fn hooks() -> Hooks {
        Hooks {
            worker: "download".to_owned(),
            group: "group".to_owned(),
            health: Health::default(),
            bootstrap_servers: "broker:9092".to_owned(),
            silent_after: Duration::from_secs(10),
            revoke_grace: Duration::ZERO,
            partitions: Mutex::default(),
            fresh: Mutex::default(),
            joined: AtomicBool::new(true),
            finished: AtomicBool::new(false),
            cause_told: AtomicBool::new(false),
        }
    }

    #[test]
    fn that_all_brokers_are_down_does_not_hide_why() {
        let hooks = hooks();
        let told = |code, words: &str| {
            hooks.error(KafkaError::Global(code), "from librdkafka");
            let reasons = hooks.health.not_ready();
            assert!(reasons["download/broker"].contains(words), "{code:?}: {reasons:?}");
        };
        told(RDKafkaErrorCode::AllBrokersDown, "no broker answers");
        told(RDKafkaErrorCode::Authentication, "credentials are refused");
        told(RDKafkaErrorCode::AllBrokersDown, "credentials are refused");
        told(RDKafkaErrorCode::BrokerTransportFailure, "no broker answers");

        let up = Broker {
            state: "UP".to_owned(),
            ..Broker::default()
        };
        hooks.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "");
        hooks.stats(Statistics {
            brokers: [("b".to_owned(), up)].into(),
            ..Statistics::default()
        });
        assert!(hooks.health.not_ready().is_empty());
        told(RDKafkaErrorCode::AllBrokersDown, "no broker answers");
    }
}
