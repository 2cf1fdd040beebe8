//! Sends messages and waits for the acknowledgement, up to a time limit.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use xact_config::ClusterSettings;
use xact_kafka::{Outgoing, Producer, ProducerError};
use xact_telemetry::health::Health;

/// Maximum wait for the acknowledgement.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Name of the producer in health.
const COMPONENT: &str = "producer";

/// A producer for one cluster.
pub struct Delivery {
    producer: Arc<Producer>,
    health: Health,
    bootstrap: String,
}

/// The broker did not acknowledge everything in time.
#[derive(Debug, thiserror::Error)]
#[error(
    "not sent within {seconds} s to {bootstrap}: {reason}. Check the bootstrap servers and that the topic exists (`topics list`)",
    seconds = SEND_TIMEOUT.as_secs()
)]
pub struct SendError {
    bootstrap: String,
    reason: String,
}

impl Delivery {
    /// Creates the producer; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(cluster: &ClusterSettings) -> Result<Self, ProducerError> {
        let health = Health::default();
        Ok(Self {
            producer: Producer::new(cluster, health.clone(), COMPONENT)?,
            health,
            bootstrap: cluster.bootstrap_servers.clone(),
        })
    }

    /// Sends all and returns when the broker has acknowledged them.
    ///
    /// # Errors
    /// When it has not within the time limit.
    pub async fn send(&self, outgoing: &[Outgoing]) -> Result<(), SendError> {
        let stop = CancellationToken::new();
        let delivered = tokio::time::timeout(SEND_TIMEOUT, self.producer.deliver(outgoing, &stop)).await;
        delivered.map(drop).map_err(|_| SendError {
            bootstrap: self.bootstrap.clone(),
            reason: self
                .health
                .not_ready()
                .remove(COMPONENT)
                .unwrap_or_else(|| "the broker does not answer".to_owned()),
        })
    }
}
