//! Detection of stuck partitions: those that make no progress although the broker has more records.
//!
//! librdkafka reports some causes as errors without a partition, some in a log line, and some not at all: it retries forever.
//! So the statistics are observed: a partition is stuck if its position does not change while the broker has records after
//! it. Recent errors explain the cause. Transient causes (a leader election, a throttled fetch, a restarting broker) end
//! before the time limits, and a lost connection restarts the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::statistics;

use super::partition::Partition;
use xact_kafka::ReadErrors;
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// A partition without progress is stuck after this time if an error names its position.
const EXPLAINED_TIMEOUT: Duration = Duration::from_secs(5);

/// The same without such an error. Fetching a large batch over a slow connection may take long.
const UNEXPLAINED_TIMEOUT: Duration = Duration::from_secs(30);

/// The same for records after an open transaction, which are read when it ends. By default, the broker aborts a transaction
/// after 15 minutes.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// Longest time that one observation adds. While the polling thread was blocked, the statistics show a stall that the thread
/// itself caused.
const MAX_OBSERVATION_INTERVAL: Duration = Duration::from_secs(2);

/// Older errors do not explain the state.
const ERROR_RETENTION: Duration = Duration::from_secs(60);

/// One partition in librdkafka's statistics.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionStatistics {
    /// Next offset to fetch.
    next: i64,
    /// One past the last offset that can be read now.
    end: i64,
    /// One past the last offset.
    high: i64,
    has_leader: bool,
    is_known: bool,
}

impl PartitionStatistics {
    pub(super) fn of(partition: &statistics::Partition) -> Self {
        Self {
            next: partition.next_offset,
            end: partition.ls_offset,
            high: partition.hi_offset,
            has_leader: partition.leader >= 0,
            is_known: !partition.unknown,
        }
    }

    /// Returns why the partition makes no progress, if it makes none; `None` if there is nothing to read.
    fn symptom(&self) -> Option<Symptom> {
        match self {
            Self { is_known: false, .. } => Some(Symptom::Unknown),
            Self { has_leader: false, .. } => Some(Symptom::NoLeader),
            // A failed fetch clears it.
            Self { high: ..0, .. } => Some(Symptom::FetchFails),
            _ if self.end > self.next => Some(Symptom::NotRead),
            _ if self.high > self.end => Some(Symptom::OpenTransaction),
            _ => None,
        }
    }
}

/// Why a partition makes no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symptom {
    /// The broker does not report the partition.
    Unknown,
    NoLeader,
    FetchFails,
    /// There are records, and none is delivered.
    NotRead,
    OpenTransaction,
}

impl Symptom {
    fn timeout(self, is_explained: bool) -> Duration {
        match self {
            Self::NotRead if is_explained => EXPLAINED_TIMEOUT,
            Self::OpenTransaction => TRANSACTION_TIMEOUT,
            _ => UNEXPLAINED_TIMEOUT,
        }
    }
}

/// A partition without progress.
#[derive(Debug)]
struct Stall {
    symptom: Symptom,
    next: i64,
    duration: Duration,
    reported: Option<Report>,
}

/// What readiness reports about a partition.
#[derive(Debug)]
struct Report {
    symptom: Symptom,
    /// librdkafka's errors in the text.
    errors: Vec<String>,
}

impl Stall {
    /// Whether this is the same stall, and not a new one after some progress.
    fn continues(&self, symptom: Symptom, next: i64) -> bool {
        let is_transaction = |symptom| symptom == Symptom::OpenTransaction;
        self.next == next && is_transaction(self.symptom) == is_transaction(symptom)
    }
}

/// The partitions of a worker that make no progress.
#[derive(Debug)]
pub(super) struct StuckPartitions {
    worker: String,
    group: String,
    health: Health,
    /// Added to the time limits: a broker may hold a fetch for this time.
    fetch_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_observation: Option<Instant>,
    stalls: HashMap<(Arc<str>, i32), Stall>,
}

impl StuckPartitions {
    pub(super) fn new(worker: &str, group: &str, health: Health, fetch_wait: Duration) -> Self {
        Self {
            worker: worker.to_owned(),
            group: group.to_owned(),
            health,
            fetch_wait,
            state: Mutex::default(),
        }
    }

    /// Compares the statistics of the assigned partitions with earlier ones. `errors` is `None` while no broker is connected:
    /// no partition can make progress then, and the connection reports why.
    pub(super) fn observe(
        &self,
        observed: &[(Arc<Partition>, PartitionStatistics)],
        errors: Option<&ReadErrors>,
        now: Instant,
    ) {
        let mut state = self.state.lock();
        let elapsed = state.last_observation.replace(now).map_or(Duration::ZERO, |last| {
            now.duration_since(last).min(MAX_OBSERVATION_INTERVAL)
        });
        for (partition, statistics) in observed {
            let key = (Arc::clone(&partition.topic), partition.id);
            let Some(errors) = errors else {
                // A reported stall stays reported until the partition makes progress.
                if let Some(stall) = state.stalls.get_mut(&key) {
                    stall.duration = Duration::ZERO;
                }
                continue;
            };
            let known = state.stalls.remove(&key);
            let Some(symptom) = statistics.symptom().filter(|_| !partition.is_paused()) else {
                self.report_progress(partition, known);
                continue;
            };
            let mut stall = match known {
                Some(known) if known.continues(symptom, statistics.next) => Stall {
                    symptom,
                    duration: known.duration + elapsed,
                    ..known
                },
                known => {
                    self.report_progress(partition, known);
                    Stall {
                        symptom,
                        next: statistics.next,
                        duration: Duration::ZERO,
                        reported: None,
                    }
                }
            };
            let own = errors.at_offset(statistics.next, ERROR_RETENTION, now);
            if stall.duration >= symptom.timeout(!own.is_empty()) + self.fetch_wait {
                let others: Vec<i64> = state.stalls.values().map(|other| other.next).collect();
                let latest = || errors.latest(&others, ERROR_RETENTION, now);
                self.report_stall(partition, &mut stall, own, latest);
            }
            state.stalls.insert(key, stall);
        }
        drop(state);
        for (partition, _) in observed {
            let gauge = metrics().partition_stuck(&partition.topic, &partition.id_label, &self.group);
            gauge.set(i64::from(self.is_reported(partition)));
        }
    }

    /// Forgets a partition that is no longer assigned, with its readiness and its metrics (another process reports its lag
    /// from now on, and a last value that stays would raise alarms).
    pub(super) fn forget(&self, partition: &Partition) {
        let mut state = self.state.lock();
        state.stalls.remove(&(Arc::clone(&partition.topic), partition.id));
        self.health.forget(&self.component(partition));
        metrics().forget_partition(&partition.topic, &partition.id_label, &self.group);
    }

    fn is_reported(&self, partition: &Partition) -> bool {
        let state = self.state.lock();
        let stall = state.stalls.get(&(Arc::clone(&partition.topic), partition.id));
        stall.is_some_and(|stall| stall.reported.is_some())
    }

    fn report_progress(&self, partition: &Partition, known: Option<Stall>) {
        if known.is_some_and(|known| known.reported.is_some()) {
            self.health.up(&self.component(partition));
        }
    }

    /// Reports a stall once for each reason: with the errors that name its position (`own`), or else the `latest` one.
    fn report_stall(
        &self,
        partition: &Partition,
        stall: &mut Stall,
        own: Vec<String>,
        latest: impl FnOnce() -> Option<String>,
    ) {
        let symptom = stall.symptom;
        let component = self.component(partition);
        if let Some(reported) = &stall.reported {
            if reported.symptom == symptom && (own.is_empty() || own == reported.errors) {
                return;
            }
            // Health logs a warning only for the first reason of a component.
            self.health.forget(&component);
        }
        let errors = if own.is_empty() { Vec::from_iter(latest()) } else { own };
        let reason = self.reason(partition, stall, &errors.join("; "));
        self.health.down(&component, reason);
        stall.reported = Some(Report { symptom, errors });
    }

    fn reason(&self, partition: &Partition, stall: &Stall, error: &str) -> String {
        let (topic, id, next, group) = (&partition.topic, partition.id, stall.next, &self.group);
        let error = match error {
            "" => String::new(),
            error => format!(" ({error})"),
        };
        match stall.symptom {
            Symptom::Unknown => format!(
                "{topic}[{id}] is not among the partitions that the broker reports: create the topic again \
                 (`xact-pipeline topics create`, or the deployment), or check its name{error}"
            ),
            Symptom::NoLeader => format!(
                "{topic}[{id}] has no leader: check that every broker of the cluster runs. Reading resumes when it has one{error}"
            ),
            Symptom::FetchFails => format!(
                "{topic}[{id}] cannot be fetched from offset {next}: check the broker that leads it. The fetch is repeated{error}"
            ),
            Symptom::NotRead => {
                let why = if error.is_empty() {
                    " (the client reports no error: the record is damaged, or larger than allowed)"
                } else {
                    &error
                };
                format!(
                    "{topic}[{id}] holds records from offset {next} on that cannot be read{why}. The other partitions continue. If \
                     nothing can make them readable, stop all workers of the group and skip them, which records them as a dead \
                     letter: xact-pipeline offsets skip --group {group} --topic {topic} --partition {id} --offset {next} \
                     --reason TEXT"
                )
            }
            Symptom::OpenTransaction => format!(
                "{topic}[{id}] cannot be read past offset {next}: a producer has held a transaction open for more than {} \
                 minutes. End that producer, or its transaction with Kafka's tool kafka-transactions.sh",
                TRANSACTION_TIMEOUT.as_secs() / 60
            ),
        }
    }

    fn component(&self, partition: &Partition) -> String {
        format!("{}/{}[{}]", self.worker, partition.topic, partition.id)
    }
}

#[cfg(test)]
mod tests;
