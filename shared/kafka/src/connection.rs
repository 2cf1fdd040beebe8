//! What every Kafka client of this crate is made with: it proves who the process is, knows whether the cluster can be
//! reached and why not, and keeps librdkafka's own lines in our log.

mod rights;
mod tokens;

pub use rights::{Right, Rights};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Statistics};

use crate::connection_error::{Cause, Trouble};
use crate::read_errors::ReadErrors;
use tokens::Tokens;
use xact_config::ClusterSettings;
use xact_identity::Principal;
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// The context of a client. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Connection(Arc<State>);

#[derive(Debug)]
struct State {
    cluster: ClusterSettings,
    tokens: Option<Tokens>,
    /// Name of the client in the connection gauge, which those that have statistics keep current.
    measured: Option<&'static str>,
    report: Option<Report>,
    trouble: Mutex<Option<Trouble>>,
    read_errors: ReadErrors,
    /// A token was handed over, or could not be had.
    asked: AtomicBool,
    /// Statistics in a row in which the client did not look for a broker.
    idle: AtomicU32,
}

/// Statistics in a row, one a second, without any broker that is connected or tried, before the client counts as stranded:
/// while it starts the search for brokers anew it may have none for a moment.
const STRANDED: u32 = 5;

/// How long a broker may be at rest between two attempts. A client without any connection begins one each second.
const REST: Duration = Duration::from_secs(5);

/// Who is told at once, because it waits for what the client brings.
#[derive(Debug)]
pub struct Report {
    /// Where the connection reports its state.
    pub health: Health,
    /// Down as long as there is trouble.
    pub component: String,
    /// A connected broker that owes an answer for longer counts as hanging.
    pub silent_after: Duration,
}

impl Connection {
    /// Of a client that asks a question now and then: remembers trouble, and tells nobody.
    pub fn of_metadata_client(cluster: &ClusterSettings) -> Self {
        Self::new(cluster, None, None)
    }

    /// Of a producer: what cannot be sent asks for its trouble.
    pub fn of_producer(cluster: &ClusterSettings) -> Self {
        Self::new(cluster, Some("producer"), None)
    }

    /// Of a stage's consumer.
    pub fn of_consumer(cluster: &ClusterSettings, report: Report) -> Self {
        Self::new(cluster, Some("consumer"), Some(report))
    }

    fn new(cluster: &ClusterSettings, measured: Option<&'static str>, report: Option<Report>) -> Self {
        Self(Arc::new(State {
            tokens: Tokens::of(cluster),
            cluster: cluster.clone(),
            measured,
            report,
            trouble: Mutex::default(),
            read_errors: ReadErrors::default(),
            asked: AtomicBool::new(false),
            idle: AtomicU32::new(0),
        }))
    }

    /// Whether the client has lost every broker, the bootstrap servers among them, and will never look for one again. It
    /// happens when the cluster names none in an answer, as one does whose only broker is not let in by its controller yet
    /// (<https://github.com/confluentinc/librdkafka/issues/5301>): the client then knows no broker at all, or only one that
    /// it has given up and never lets go. Only another client helps.
    pub fn is_stranded(&self) -> bool {
        self.0.idle.load(Ordering::Relaxed) >= STRANDED
    }

    /// Why the cluster cannot be used; `None`: nothing is known against it.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.trouble.lock().clone()
    }

    /// What the client said last that is not about its connection.
    pub fn read_errors(&self) -> &ReadErrors {
        &self.0.read_errors
    }

    /// Whether a connection may be tried: there was a token, or none is needed; or none could be had, which is trouble.
    pub fn is_prepared(&self) -> bool {
        self.0.tokens.is_none() || self.0.asked.load(Ordering::Relaxed)
    }

    /// Who the broker knows this client as, if it is known by a token.
    pub fn principal(&self) -> Option<Principal> {
        self.0.tokens.as_ref()?.principal()
    }

    fn set(&self, trouble: Option<Trouble>) {
        if let Some(Report { health, component, .. }) = &self.0.report {
            match &trouble {
                Some(trouble) => health.down(component, trouble.to_string()),
                None => health.up(component),
            }
        }
        *self.0.trouble.lock() = trouble;
    }
}

impl ClientContext for Connection {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// librdkafka repeats itself for each attempt and broker: its own lines are for debugging, readiness tells the state.
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, fac, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(trouble) = Trouble::of(&error, reason, &self.0.cluster) else {
            tracing::debug!(%error, reason, "librdkafka");
            self.0.read_errors.note(reason, Instant::now());
            return;
        };
        // "All brokers are down" would hide why.
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let is_explained = |known: &Trouble| known.cause != Cause::Silent;
        if is_summary && self.trouble().as_ref().is_some_and(is_explained) {
            return;
        }
        if trouble.cause == Cause::Token
            && let Some(tokens) = &self.0.tokens
        {
            tokens.refused();
        }
        self.set(Some(trouble));
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(is_in_use) {
            self.0.idle.store(0, Ordering::Relaxed);
        } else {
            self.0.idle.fetch_add(1, Ordering::Relaxed);
        }
        let is_long = |silence: &Duration| {
            let report = self.0.report.as_ref();
            report.is_some_and(|report| *silence > report.silent_after)
        };
        let silence = silence(&statistics).filter(is_long);
        let connected = is_connected(&statistics) && silence.is_none();
        if let Some(client) = self.0.measured {
            metrics().connection(client).set(i64::from(connected));
        }
        if connected {
            self.set(None);
        } else if let Some(silence) = silence {
            self.set(Some(Trouble::silent(silence, &self.0.cluster)));
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let Some(tokens) = &self.0.tokens else {
            return Err("this cluster is not reached with a token".into());
        };
        let token = tokens.token();
        self.0.asked.store(true, Ordering::Relaxed);
        Ok(token?)
    }
}

impl ConsumerContext for Connection {}

/// Whether a broker is connected, or tried, or was a moment ago. Not the group's coordinator, which is another name for one
/// of them, nor librdkafka's place for what has no leader.
fn is_in_use(broker: &Broker) -> bool {
    let is_broker = matches!(broker.source.as_str(), "configured" | "learned");
    let is_at_rest = matches!(broker.state.as_str(), "INIT" | "DOWN");
    let rested = Duration::from_micros(broker.stateage.try_into().unwrap_or(0));
    is_broker && (!is_at_rest || rested < REST)
}

fn is_connected(statistics: &Statistics) -> bool {
    statistics.brokers.values().any(|broker| broker.state == "UP")
}

/// How long the broker that is silent the longest has owed an answer; `None` if none does. Connections to a frozen
/// broker stay open, and librdkafka itself gives up on a request only after a minute.
fn silence(statistics: &Statistics) -> Option<Duration> {
    let owing = statistics.brokers.values().filter(|broker| {
        // The coordinator's own connection may rightly be silent for a whole rebalance.
        broker.state == "UP" && broker.source != "logical" && broker.waitresp_cnt > 0
    });
    owing
        .filter_map(|broker| u64::try_from(broker.rxidle).ok())
        .max()
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
