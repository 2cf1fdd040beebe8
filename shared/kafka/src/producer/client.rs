//! A librdkafka producer and the thread that polls it for acknowledgements.
//!
//! rdkafka's `FutureProducer` polls ten times a second even when idle, and each poll spins for its last millisecond, which
//! costs half a percent of a core. Here the thread polls while records are in flight, and sleeps otherwise.

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

/// Duration of a poll while records are in flight. Acknowledgements are passed on as they arrive and do not end the poll.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// Longest sleep while no record is in flight, and so the longest delay of statistics, errors and token requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The broker's acknowledgement of a record, or librdkafka's reason to give up on it.
type Delivery = Result<(), KafkaError>;

/// Sends a record's delivery result to the task that waits for it.
pub(crate) type DeliverySender = Box<oneshot::Sender<Delivery>>;

/// A record with the sender of its delivery result.
pub(crate) type Record<'a> = BaseRecord<'a, String, Vec<u8>, DeliverySender>;

/// The client. Dropping it waits for its thread and then for librdkafka's threads, so it must not be dropped on a thread of
/// the async runtime.
pub(crate) struct Client {
    kafka: Arc<BaseProducer<DeliveryContext>>,
    pub(crate) connection: Connection,
    wake: Wake,
    stop: Arc<AtomicBool>,
    /// `None` only during the drop.
    polling: Option<JoinHandle<()>>,
}

impl Client {
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Arc<Self>, KafkaError> {
        let connection = Connection::for_producer(cluster);
        let kafka: BaseProducer<DeliveryContext> =
            client_config::producer(cluster).create_with_context(DeliveryContext(connection.clone()))?;
        let (kafka, wake, stop) = (Arc::new(kafka), Wake::default(), Arc::<AtomicBool>::default());
        let polling = {
            let (kafka, wake, stop) = (Arc::clone(&kafka), wake.clone(), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("producer".to_owned())
                .spawn(move || poll(&kafka, &wake, &stop))
                .map_err(|error| KafkaError::ClientCreation(format!("the polling thread cannot be started: {error}")))?
        };
        Ok(Arc::new(Self {
            kafka,
            connection,
            wake,
            stop,
            polling: Some(polling),
        }))
    }

    /// Queues a record. The returned channel receives the result of its delivery.
    pub(crate) fn send<'a>(
        &self,
        record: impl FnOnce(DeliverySender) -> Record<'a>,
    ) -> Result<oneshot::Receiver<Delivery>, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        self.kafka.send(record(Box::new(sender))).map_err(|(error, _)| error)?;
        self.wake.wake();
        Ok(receiver)
    }

    /// Drops all queued and in-flight records: their deliveries fail now.
    pub(crate) fn purge(&self) {
        self.kafka.purge(PurgeConfig::default().queue().inflight());
        self.wake.wake();
    }

    /// Returns the fatal error that ended this idempotent producer, if there is one.
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
fn poll(kafka: &BaseProducer<DeliveryContext>, wake: &Wake, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        // The in-flight count includes unserved events. Serving those first, without waiting, keeps an idle client's
        // statistics from starting a poll that waits and spins at its end.
        kafka.poll(Duration::ZERO);
        if kafka.in_flight_count() > 0 {
            kafka.poll(POLL_TIMEOUT);
        } else {
            wake.wait(IDLE_TIMEOUT);
        }
    }
}

/// Passes on each record's delivery result, and everything else to the connection.
struct DeliveryContext(Connection);

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = DeliverySender;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let delivery = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // The receiver is gone after a stop.
        let _ = sender.send(delivery);
    }
}

impl ClientContext for DeliveryContext {
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
