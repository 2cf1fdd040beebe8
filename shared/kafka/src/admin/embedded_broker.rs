//! A broker inside the process, for development: librdkafka's mock cluster. It speaks the Kafka protocol on a loopback
//! port, so that other processes and kcat can use it too.
//!
//! Limits: a partition keeps 5 MiB and drops its oldest records beyond that, even unread ones; admin requests are not
//! supported; all data is lost when the process ends.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use xact_contracts::topology::Topics;

/// A running broker. Dropping it stops the broker.
pub struct EmbeddedBroker(MockCluster<'static, DefaultProducerContext>);

/// The broker could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker cannot be started: {0}; set LOCAL_KAFKA_BOOTSTRAP_SERVERS to use another one")]
pub struct EmbeddedBrokerError(#[from] KafkaError);

impl EmbeddedBroker {
    /// Starts a broker with all topics.
    ///
    /// # Errors
    /// When librdkafka cannot open its loopback port or rejects a topic.
    pub fn start(topics: &Topics) -> Result<Self, EmbeddedBrokerError> {
        let cluster = MockCluster::new(1)?;
        for (role, name) in topics.all() {
            cluster.create_topic(name, role.partitions(), 1)?;
        }
        Ok(Self(cluster))
    }

    /// Returns its address, `127.0.0.1:port`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }
}
