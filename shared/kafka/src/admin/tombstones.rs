//! Records without a value, put into one partition on purpose: marks that belong to a record of that partition.

use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::client_config;
use crate::connection::Connection;
use crate::producer::ProducerError;
use xact_config::ClusterSettings;

/// One mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Partition that it goes to.
    pub partition: i32,
    /// Key.
    pub key: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
}

/// A mark that the broker did not take.
#[derive(Debug, thiserror::Error)]
#[error("the mark {key} was not written to {topic}[{partition}]: {error}. Run the command again, which is safe")]
pub struct TombstoneError {
    topic: String,
    partition: i32,
    key: String,
    /// Why, and what to do.
    error: String,
}

/// Writes marks into one topic.
pub struct Tombstones {
    client: FutureProducer<Connection>,
    connection: Connection,
    topic: String,
}

impl Tombstones {
    /// Makes the client; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(cluster: &ClusterSettings, topic: &str) -> Result<Self, ProducerError> {
        let connection = Connection::of_producer(cluster);
        Ok(Self {
            client: client_config::producer(cluster)
                // An operator waits for this: it gives up, and says so.
                .set("request.timeout.ms", "10000")
                .set("message.timeout.ms", "30000")
                .create_with_context(connection.clone())?,
            connection,
            topic: topic.to_owned(),
        })
    }

    /// Writes all and returns when the broker has acknowledged them.
    ///
    /// # Errors
    /// The first that the broker did not take; others may be there.
    pub async fn write(&self, tombstones: &[Tombstone]) -> Result<(), TombstoneError> {
        let failed = |tombstone: &Tombstone, error: KafkaError| TombstoneError {
            topic: self.topic.clone(),
            partition: tombstone.partition,
            key: tombstone.key.clone(),
            error: match self.connection.trouble() {
                Some(trouble) => trouble.to_string(),
                None => format!("{error}; check the broker"),
            },
        };
        let mut sent = Vec::with_capacity(tombstones.len());
        for tombstone in tombstones {
            let headers = tombstone
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: Some(value),
                    })
                });
            let record = FutureRecord::<str, [u8]>::to(&self.topic)
                .partition(tombstone.partition)
                .key(&tombstone.key)
                .headers(headers);
            match self.client.send_result(record) {
                Ok(delivery) => sent.push((tombstone, delivery)),
                Err((error, _)) => return Err(failed(tombstone, error)),
            }
        }
        for (tombstone, delivery) in sent {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(failed(tombstone, error)),
                Err(_) => return Err(failed(tombstone, KafkaError::Canceled)),
            }
        }
        Ok(())
    }
}
