//! Writes tombstones (records without a value) to given partitions. The dead-letter commands mark entries with them.

use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::client_config;
use crate::connection::Connection;
use crate::producer::{ProducerError, header, with_trace};
use xact_config::ClusterSettings;
use xact_telemetry::trace_context::TraceContext;

/// A tombstone to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Partition to write to.
    pub partition: i32,
    /// Key.
    pub key: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
}

/// The broker did not acknowledge a tombstone.
#[derive(Debug, thiserror::Error)]
#[error("the mark {key} was not written to {topic}[{partition}]: {error}. Run the command again, which is safe")]
pub struct TombstoneError {
    topic: String,
    partition: i32,
    key: String,
    /// Why, and what to do.
    error: String,
}

/// Writes tombstones to one topic.
pub struct Tombstones {
    client: FutureProducer<Connection>,
    connection: Connection,
    topic: String,
}

impl Tombstones {
    /// Creates the client, which connects in the background.
    ///
    /// # Errors
    /// When librdkafka rejects the settings.
    pub fn new(cluster: &ClusterSettings, topic: &str) -> Result<Self, ProducerError> {
        let connection = Connection::for_producer(cluster);
        Ok(Self {
            client: client_config::producer(cluster)
                // An operator waits for the result, so the time limits are shorter than a stage's.
                .set("request.timeout.ms", "10000")
                .set("message.timeout.ms", "30000")
                .create_with_context(connection.clone())?,
            connection,
            topic: topic.to_owned(),
        })
    }

    /// Writes the tombstones and returns their offsets when the broker has acknowledged all of them.
    ///
    /// # Errors
    /// For the first one that failed; others may have been written.
    pub async fn write(&self, tombstones: &[Tombstone]) -> Result<Vec<i64>, TombstoneError> {
        let failed = |tombstone: &Tombstone, error: KafkaError| TombstoneError {
            topic: self.topic.clone(),
            partition: tombstone.partition,
            key: tombstone.key.clone(),
            error: match self.connection.current_error() {
                Some(connection_error) => connection_error.to_string(),
                None => format!("{error}; check the broker"),
            },
        };
        let mut sent = Vec::with_capacity(tombstones.len());
        for tombstone in tombstones {
            let headers = tombstone.headers.iter();
            let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(header(key, value))
            });
            let headers = with_trace(headers, &tombstone.trace);
            let record = FutureRecord::<str, [u8]>::to(&self.topic)
                .partition(tombstone.partition)
                .key(&tombstone.key)
                .headers(headers);
            match self.client.send_result(record) {
                Ok(delivery) => sent.push((tombstone, delivery)),
                Err((error, _)) => return Err(failed(tombstone, error)),
            }
        }
        let mut offsets = Vec::with_capacity(sent.len());
        for (tombstone, delivery) in sent {
            match delivery.await {
                Ok(Ok(delivery)) => offsets.push(delivery.offset),
                Ok(Err((error, _))) => return Err(failed(tombstone, error)),
                Err(_) => return Err(failed(tombstone, KafkaError::Canceled)),
            }
        }
        Ok(offsets)
    }
}
