//! Sending for a person who waits: acknowledged within a limit, or an error that says why not.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use xact_config::ClusterSettings;
use xact_kafka::producer::{Outgoing, Producer, ProducerError};
use xact_telemetry::health::Health;

/// Longest wait for the broker.
const LIMIT: Duration = Duration::from_secs(30);

/// What health calls the producer.
const COMPONENT: &str = "producer";

/// A producer for one cluster.
pub(crate) struct Delivery {
    producer: Arc<Producer>,
    health: Health,
    bootstrap: String,
}

/// The broker did not take everything in time.
#[derive(Debug, thiserror::Error)]
#[error(
    "not sent within {seconds} s to {bootstrap}: {reason}. Check the bootstrap servers and that the topic exists (`topics list`)",
    seconds = LIMIT.as_secs()
)]
pub(crate) struct NotSent {
    bootstrap: String,
    reason: String,
}

impl Delivery {
    /// Makes the producer; it connects in the background.
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Self, ProducerError> {
        let health = Health::default();
        Ok(Self {
            producer: Producer::new(cluster, health.clone(), COMPONENT)?,
            health,
            bootstrap: cluster.bootstrap_servers.clone(),
        })
    }

    /// Sends all and returns when the broker has acknowledged them.
    pub(crate) async fn send(&self, outgoing: &[Outgoing]) -> Result<(), NotSent> {
        let stop = CancellationToken::new();
        let delivered = tokio::time::timeout(LIMIT, self.producer.deliver(outgoing, &stop)).await;
        delivered.map(drop).map_err(|_| NotSent {
            bootstrap: self.bootstrap.clone(),
            reason: self
                .health
                .not_ready()
                .remove(COMPONENT)
                .unwrap_or_else(|| "it does not answer".to_owned()),
        })
    }
}
