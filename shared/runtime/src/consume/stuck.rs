//! Partitions that do not move though they should, whatever the cause.
//!
//! librdkafka tells some causes as errors without a partition, some in a log line, and of some it says nothing: it asks the
//! broker again for ever. So each partition is watched by its statistics: a position that stays where it is while the
//! broker has records behind it is stuck. The errors that were heard explain it. What passes by itself (a leader election,
//! a throttled fetch, a broker that restarts) is over before it counts, and while no broker is connected nothing is counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::statistics;

use super::partition::Partition;
use xact_kafka::ReadErrors;
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// A partition that does not move for so long is stuck, if an error names its position.
const EXPLAINED_AFTER: Duration = Duration::from_secs(5);

/// The same without such an error. A large batch may take long on a slow connection.
const UNEXPLAINED_AFTER: Duration = Duration::from_secs(30);

/// What is behind an open transaction is read when it ends; the broker ends one itself after 15 minutes, unless it was
/// configured otherwise.
const TRANSACTION_AFTER: Duration = Duration::from_secs(20 * 60);

/// Most that one look counts. When the thread was held up, the next look tells of a state that the thread itself caused.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// Errors that are older explain nothing.
const ERROR_AGE: Duration = Duration::from_secs(60);

/// What the statistics say of one partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Next offset to be fetched.
    next: i64,
    /// One past the last offset that may be read now.
    end: i64,
    /// One past the last offset.
    high: i64,
    has_leader: bool,
    is_known: bool,
}

impl Reading {
    pub(super) fn of(partition: &statistics::Partition) -> Self {
        Self {
            next: partition.next_offset,
            end: partition.ls_offset,
            high: partition.hi_offset,
            has_leader: partition.leader >= 0,
            is_known: !partition.unknown,
        }
    }

    /// Why it would not move; `None`: there is nothing to be read.
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

/// Why a partition does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symptom {
    /// The broker does not know it.
    Unknown,
    NoLeader,
    FetchFails,
    /// There are records, and none is handed out.
    NotRead,
    OpenTransaction,
}

impl Symptom {
    fn lasts_at_least(self, is_explained: bool) -> Duration {
        match self {
            Self::NotRead if is_explained => EXPLAINED_AFTER,
            Self::OpenTransaction => TRANSACTION_AFTER,
            _ => UNEXPLAINED_AFTER,
        }
    }
}

/// A partition that has not moved for a while.
#[derive(Debug)]
struct Standstill {
    symptom: Symptom,
    next: i64,
    lasted: Duration,
    told: Option<Told>,
}

/// What readiness says of a partition.
#[derive(Debug)]
struct Told {
    symptom: Symptom,
    /// The client's errors in it.
    errors: Vec<String>,
}

impl Standstill {
    /// Whether this is the state that was seen before, and not a new one after the partition has moved.
    fn goes_on(&self, symptom: Symptom, next: i64) -> bool {
        let is_transaction = |symptom| symptom == Symptom::OpenTransaction;
        self.next == next && is_transaction(self.symptom) == is_transaction(symptom)
    }
}

/// All partitions of a worker that have not moved for a while.
#[derive(Debug)]
pub(super) struct Standstills {
    worker: String,
    group: String,
    health: Health,
    /// Added to the least time: a broker may hold an answer back for so long.
    fetch_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_look: Option<Instant>,
    partitions: HashMap<(Arc<str>, i32), Standstill>,
}

impl Standstills {
    pub(super) fn new(worker: &str, group: &str, health: Health, fetch_wait: Duration) -> Self {
        Self {
            worker: worker.to_owned(),
            group: group.to_owned(),
            health,
            fetch_wait,
            state: Mutex::default(),
        }
    }

    /// Looks at the partitions that are ours. `errors` is `None` while no broker is connected: then nothing can move, and
    /// the connection says why.
    pub(super) fn look(&self, readings: &[(Arc<Partition>, Reading)], errors: Option<&ReadErrors>, now: Instant) {
        let mut state = self.state.lock();
        let step = state
            .last_look
            .replace(now)
            .map_or(Duration::ZERO, |last| now.duration_since(last).min(LONGEST_STEP));
        for (partition, reading) in readings {
            let key = (Arc::clone(&partition.topic), partition.id);
            let Some(errors) = errors else {
                // What was told stays told, until it moves again.
                if let Some(standstill) = state.partitions.get_mut(&key) {
                    standstill.lasted = Duration::ZERO;
                }
                continue;
            };
            let symptom = reading.symptom().filter(|_| !partition.is_paused());
            let known = state.partitions.remove(&key);
            let Some(symptom) = symptom else {
                self.moves(partition, known);
                continue;
            };
            let mut standstill = match known {
                Some(known) if known.goes_on(symptom, reading.next) => Standstill {
                    symptom,
                    lasted: known.lasted + step,
                    ..known
                },
                known => {
                    self.moves(partition, known);
                    Standstill {
                        symptom,
                        next: reading.next,
                        lasted: Duration::ZERO,
                        told: None,
                    }
                }
            };
            let about = errors.at_offset(reading.next, ERROR_AGE, now);
            if standstill.lasted >= symptom.lasts_at_least(!about.is_empty()) + self.fetch_wait {
                let others: Vec<i64> = state.partitions.values().map(|other| other.next).collect();
                let latest = || errors.latest(&others, ERROR_AGE, now);
                self.tell(partition, &mut standstill, about, latest);
            }
            state.partitions.insert(key, standstill);
        }
        drop(state);
        for (partition, _) in readings {
            let gauge = metrics().partition_stuck(&partition.topic, &partition.id_text, &self.group);
            gauge.set(i64::from(self.is_told(partition)));
        }
    }

    /// It went to another process, or this one ends.
    pub(super) fn forget(&self, partition: &Partition) {
        let mut state = self.state.lock();
        state.partitions.remove(&(Arc::clone(&partition.topic), partition.id));
        self.health.forget(&self.component(partition));
        metrics().forget_partition(&partition.topic, &partition.id_text, &self.group);
    }

    fn is_told(&self, partition: &Partition) -> bool {
        let state = self.state.lock();
        let standstill = state.partitions.get(&(Arc::clone(&partition.topic), partition.id));
        standstill.is_some_and(|standstill| standstill.told.is_some())
    }

    fn moves(&self, partition: &Partition, known: Option<Standstill>) {
        if known.is_some_and(|known| known.told.is_some()) {
            self.health.up(&self.component(partition));
        }
    }

    /// One warning for each reason: the errors `about` its position, or the `latest` that may be its own.
    fn tell(
        &self,
        partition: &Partition,
        standstill: &mut Standstill,
        about: Vec<String>,
        latest: impl FnOnce() -> Option<String>,
    ) {
        let symptom = standstill.symptom;
        let component = self.component(partition);
        if let Some(told) = &standstill.told {
            if told.symptom == symptom && (about.is_empty() || about == told.errors) {
                return;
            }
            // Health warns of the first reason alone.
            self.health.forget(&component);
        }
        let errors = match about.is_empty() {
            true => Vec::from_iter(latest()),
            false => about,
        };
        self.health
            .down(&component, self.reason(partition, standstill, &errors.join("; ")));
        standstill.told = Some(Told { symptom, errors });
    }

    fn reason(&self, partition: &Partition, standstill: &Standstill, error: &str) -> String {
        let (topic, id, next, group) = (&partition.topic, partition.id, standstill.next, &self.group);
        let error = match error {
            "" => String::new(),
            error => format!(" ({error})"),
        };
        match standstill.symptom {
            Symptom::Unknown => format!(
                "{topic}[{id}] is not among the partitions that the broker names: create the topic again \
                 (`xact-pipeline topics create`, or the deployment), or check its name{error}"
            ),
            Symptom::NoLeader => format!(
                "{topic}[{id}] has no leader: check that every broker of the cluster runs. It is read on by itself when it has one{error}"
            ),
            Symptom::FetchFails => format!(
                "{topic}[{id}] cannot be fetched from offset {next}: check the broker that leads it. It is asked again{error}"
            ),
            Symptom::NotRead => {
                let why = match error.is_empty() {
                    true => " (the client says nothing of it: the record is damaged, or larger than it may be)",
                    false => &error,
                };
                format!(
                    "{topic}[{id}] holds records from offset {next} on that cannot be read{why}. The other partitions go on. If \
                     nothing can make them readable, stop all workers of the group and skip them, which records them as a dead \
                     letter: xact-pipeline offsets skip --group {group} --topic {topic} --partition {id} --offset {next} \
                     --reason TEXT"
                )
            }
            Symptom::OpenTransaction => format!(
                "{topic}[{id}] cannot be read past offset {next}: a producer has held a transaction open for more than {} \
                 minutes. End that producer, or its transaction with Kafka's tool kafka-transactions.sh",
                TRANSACTION_AFTER.as_secs() / 60
            ),
        }
    }

    fn component(&self, partition: &Partition) -> String {
        format!("{}/{}[{}]", self.worker, partition.topic, partition.id)
    }
}

#[cfg(test)]
mod tests;
