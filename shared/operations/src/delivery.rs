//! Sends messages and waits for the acknowledgement, up to a time limit.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::OperationError;
use xact_config::ClusterSettings;
use xact_kafka::{Outgoing, Producer};
use xact_telemetry::health::Health;

/// Maximum wait for the acknowledgement.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Name of the producer in health.
const COMPONENT: &str = "producer";

/// A producer for one cluster.
pub(crate) struct Delivery {
    producer: Arc<Producer>,
    health: Health,
    bootstrap: String,
}

impl Delivery {
    /// Creates the producer; it connects in the background.
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Self, OperationError> {
        let health = Health::default();
        Ok(Self {
            producer: Producer::new(cluster, health.clone(), COMPONENT)?,
            health,
            bootstrap: cluster.bootstrap_servers.clone(),
        })
    }

    /// Sends all and returns when the broker has acknowledged them.
    pub(crate) async fn send(&self, outgoing: &[Outgoing]) -> Result<(), OperationError> {
        let stop = CancellationToken::new();
        let delivered = tokio::time::timeout(SEND_TIMEOUT, self.producer.deliver(outgoing, &stop)).await;
        delivered.map(drop).map_err(|_| {
            let (bootstrap, seconds) = (&self.bootstrap, SEND_TIMEOUT.as_secs());
            let reason = self.health.not_ready().remove(COMPONENT);
            let reason = reason.unwrap_or_else(|| "the broker does not answer".to_owned());
            OperationError::Refused(format!(
                "not sent within {seconds} s to {bootstrap}: {reason}. Check the bootstrap servers and that the topic exists (`topics list`)"
            ))
        })
    }
}
