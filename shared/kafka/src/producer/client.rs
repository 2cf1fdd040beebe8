//! A client of librdkafka for sending, and the thread that hears of acknowledgements.
//!
//! The crate's own `FutureProducer` polls ten times a second without pause, and each of its polls spins for its last
//! millisecond: half a percent of a core with nothing to send. Here the thread polls while something is under way, and
//! sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::statistics::Statistics;
use tokio::sync::oneshot;

use crate::client_config;
use crate::connection::Connection;
use crate::wake::Wake;
use xact_config::ClusterSettings;

/// One poll while records are under way. Acknowledgements end no poll, but are told as they come.
const POLL: Duration = Duration::from_millis(100);

/// Longest sleep with nothing under way: how late statistics, errors and requests for a token may be served then.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// The broker's answer to a record.
type Acknowledged = Result<(), KafkaError>;

/// Where the broker's answer goes.
pub(crate) type Answer = Box<oneshot::Sender<Acknowledged>>;

/// A record that knows where its answer goes.
pub(crate) type Record<'a> = BaseRecord<'a, String, Vec<u8>, Answer>;

/// The client. Dropping it waits for its thread and then for librdkafka's: not on a thread of the async runtime.
pub(crate) struct Client {
    kafka: Arc<BaseProducer<Delivering>>,
    pub(crate) connection: Connection,
    wake: Wake,
    stop: Arc<AtomicBool>,
    /// `None` only while it is dropped.
    polling: Option<JoinHandle<()>>,
}

impl Client {
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Arc<Self>, KafkaError> {
        let connection = Connection::of_producer(cluster);
        let kafka: BaseProducer<Delivering> =
            client_config::producer(cluster).create_with_context(Delivering(connection.clone()))?;
        let (kafka, wake, stop) = (Arc::new(kafka), Wake::default(), Arc::<AtomicBool>::default());
        let polling = {
            let (kafka, wake, stop) = (Arc::clone(&kafka), wake.clone(), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("producer".to_owned())
                .spawn(move || poll(&kafka, &wake, &stop))
                .map_err(|error| KafkaError::ClientCreation(format!("no thread for it: {error}")))?
        };
        Ok(Arc::new(Self {
            kafka,
            connection,
            wake,
            stop,
            polling: Some(polling),
        }))
    }

    /// Hands a record over; what it returns is told when the broker has answered, or librdkafka has given up.
    pub(crate) fn send<'a>(
        &self,
        record: impl FnOnce(Answer) -> Record<'a>,
    ) -> Result<oneshot::Receiver<Acknowledged>, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        self.kafka.send(record(Box::new(sender))).map_err(|(error, _)| error)?;
        self.wake.wake();
        Ok(receiver)
    }

    /// Gives up what was handed over: it fails now.
    pub(crate) fn purge(&self) {
        self.kafka.purge(PurgeConfig::default().queue().inflight());
        self.wake.wake();
    }

    /// Why an idempotent producer has ended for good.
    pub(crate) fn fatal_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.kafka.client().fatal_error()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake.wake();
        if let Some(polling) = self.polling.take()
            && polling.join().is_err()
        {
            tracing::error!("the producer's thread panicked");
        }
    }
}

/// Serves the client until it is dropped.
fn poll(kafka: &BaseProducer<Delivering>, wake: &Wake, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        // Records that are not answered, and events that were not served, both count. A single event, such as the
        // statistics of a client at rest, is served at once: a poll that waits would spin at its end.
        kafka.poll(Duration::ZERO);
        if kafka.in_flight_count() > 0 {
            kafka.poll(POLL);
        } else {
            wake.wait(IDLE_WAIT);
        }
    }
}

/// Tells each record's sender what became of it; the rest is the connection's business.
struct Delivering(Connection);

impl ProducerContext for Delivering {
    type DeliveryOpaque = Answer;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let acknowledged = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits for it after a stop.
        let _ = sender.send(acknowledged);
    }
}

impl ClientContext for Delivering {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Connection::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.log(level, fac, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.generate_oauth_token(config)
    }
}
