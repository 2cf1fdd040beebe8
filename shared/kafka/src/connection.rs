//! The context of every Kafka client: it authenticates the client, keeps the reason that the cluster cannot be used, and
//! forwards librdkafka's log lines.

mod authorization;
mod tokens;

pub use authorization::{Permission, TopicAuthorization};

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

use crate::connection_error::{ClusterError, ConnectionError};
use crate::read_errors::ReadErrors;
use tokens::TokenProvider;
use xact_config::ClusterSettings;
use xact_identity::Principal;
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// The context of a client. Clones share their state.
#[derive(Debug, Clone)]
pub struct Connection(Arc<State>);

#[derive(Debug)]
struct State {
    cluster: ClusterSettings,
    tokens: Option<TokenProvider>,
    /// The client's label in the connection gauge; `None` for a client without statistics.
    gauge_label: Option<&'static str>,
    reporter: Option<HealthReporter>,
    error: Mutex<Option<ConnectionError>>,
    read_errors: ReadErrors,
    /// Whether librdkafka has requested a token, successfully or not.
    token_requested: AtomicBool,
    /// Consecutive statistics without a connected or tried broker.
    statistics_without_broker: AtomicU32,
}

/// Consecutive statistics, one per second, without a connected or tried broker after which the client has lost all
/// brokers. librdkafka may briefly have none while it bootstraps again.
const MAX_STATISTICS_WITHOUT_BROKER: u32 = 5;

/// Upper bound of librdkafka's pause between two connection attempts. A client without a connection starts one per second.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(5);

/// How a consumer's connection reports to the health of its process.
#[derive(Debug)]
pub struct HealthReporter {
    /// The health of the process.
    pub health: Health,
    /// The component that is down while there is a connection error.
    pub component: String,
    /// A connected broker that owes a response for longer counts as not responding.
    pub response_timeout: Duration,
}

impl Connection {
    /// Creates the context of a client for single requests. It keeps errors, and reports none to health.
    pub fn for_metadata_client(cluster: &ClusterSettings) -> Self {
        Self::new(cluster, None, None)
    }

    /// Creates the context of a producer, which reports the error itself when a record is not acknowledged.
    pub fn for_producer(cluster: &ClusterSettings) -> Self {
        Self::new(cluster, Some("producer"), None)
    }

    /// Creates the context of a stage's consumer.
    pub fn for_consumer(cluster: &ClusterSettings, reporter: HealthReporter) -> Self {
        Self::new(cluster, Some("consumer"), Some(reporter))
    }

    fn new(cluster: &ClusterSettings, gauge_label: Option<&'static str>, reporter: Option<HealthReporter>) -> Self {
        Self(Arc::new(State {
            tokens: TokenProvider::for_cluster(cluster),
            cluster: cluster.clone(),
            gauge_label,
            reporter,
            error: Mutex::default(),
            read_errors: ReadErrors::default(),
            token_requested: AtomicBool::new(false),
            statistics_without_broker: AtomicU32::new(0),
        }))
    }

    /// Whether the client has lost every broker, including the bootstrap servers, and will not find one again.
    ///
    /// This happens when the cluster's metadata response lists no broker, for example while the controller has not yet
    /// registered the only broker (<https://github.com/confluentinc/librdkafka/issues/5301>). The client then knows no
    /// broker, or only one that it has given up and never removes. The client must be replaced.
    pub fn has_lost_all_brokers(&self) -> bool {
        self.0.statistics_without_broker.load(Ordering::Relaxed) >= MAX_STATISTICS_WITHOUT_BROKER
    }

    /// Returns why the cluster cannot be used; `None` if no error is known.
    pub fn current_error(&self) -> Option<ConnectionError> {
        self.0.error.lock().clone()
    }

    /// Returns the client's recent errors that do not concern its connection.
    pub fn read_errors(&self) -> &ReadErrors {
        &self.0.read_errors
    }

    /// Whether the client has what it needs to try a connection. A failed token request counts as well: its error is known.
    pub fn is_ready_to_connect(&self) -> bool {
        self.0.tokens.is_none() || self.0.token_requested.load(Ordering::Relaxed)
    }

    /// Returns the principal in the token that the broker last received; `None` without a token.
    pub fn principal(&self) -> Option<Principal> {
        self.0.tokens.as_ref()?.principal()
    }

    fn set_error(&self, error: Option<ConnectionError>) {
        if let Some(HealthReporter { health, component, .. }) = &self.0.reporter {
            match &error {
                Some(error) => health.down(component, error.to_string()),
                None => health.up(component),
            }
        }
        *self.0.error.lock() = error;
    }
}

impl ClientContext for Connection {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Logs at debug level only: librdkafka repeats itself for each attempt and broker, and readiness reports the state.
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, fac, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(connection_error) = ConnectionError::classify(&error, reason, &self.0.cluster) else {
            tracing::debug!(%error, reason, "librdkafka");
            self.0.read_errors.add(reason, Instant::now());
            return;
        };
        // "All brokers are down" follows a more specific error and must not replace it.
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let is_specific = |known: &ConnectionError| known.cause != ClusterError::NotResponding;
        if is_summary && self.current_error().as_ref().is_some_and(is_specific) {
            return;
        }
        if connection_error.cause == ClusterError::TokenRejected
            && let Some(tokens) = &self.0.tokens
        {
            tokens.discard_rejected();
        }
        self.set_error(Some(connection_error));
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(is_in_use) {
            self.0.statistics_without_broker.store(0, Ordering::Relaxed);
        } else {
            self.0.statistics_without_broker.fetch_add(1, Ordering::Relaxed);
        }
        let timeout = self.0.reporter.as_ref().map(|reporter| reporter.response_timeout);
        let is_too_long = |&overdue: &Duration| timeout.is_some_and(|timeout| overdue > timeout);
        let overdue = longest_overdue(&statistics).filter(is_too_long);
        let is_up = statistics.brokers.values().any(|broker| broker.state == "UP");
        let connected = is_up && overdue.is_none();
        if let Some(client) = self.0.gauge_label {
            metrics().connection(client).set(i64::from(connected));
        }
        if connected {
            self.set_error(None);
        } else if let Some(overdue) = overdue {
            self.set_error(Some(ConnectionError::not_responding(overdue, &self.0.cluster)));
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let Some(tokens) = &self.0.tokens else {
            return Err("this cluster does not use tokens".into());
        };
        let token = tokens.token();
        self.0.token_requested.store(true, Ordering::Relaxed);
        Ok(token?)
    }
}

impl ConsumerContext for Connection {}

/// Whether a broker is connected, or is or was a moment ago being connected. The statistics also list the group
/// coordinator, which is another name for one of the brokers, and an internal entry for partitions without a leader;
/// neither counts.
fn is_in_use(broker: &Broker) -> bool {
    let is_broker = matches!(broker.source.as_str(), "configured" | "learned");
    let is_idle = matches!(broker.state.as_str(), "INIT" | "DOWN");
    let idle_for = Duration::from_micros(broker.stateage.try_into().unwrap_or(0));
    is_broker && (!is_idle || idle_for < RECONNECT_INTERVAL)
}

/// Returns how long a connected broker has at most owed a response; `None` if none owes one. Connections to a frozen
/// broker stay open, and librdkafka itself gives up on a request only after a minute.
fn longest_overdue(statistics: &Statistics) -> Option<Duration> {
    let owing = statistics.brokers.values().filter(|broker| {
        // The coordinator may legitimately not respond for a whole rebalance.
        broker.state == "UP" && broker.source != "logical" && broker.waitresp_cnt > 0
    });
    owing
        .filter_map(|broker| u64::try_from(broker.rxidle).ok())
        .max()
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
