//! A broker inside the process, for development: librdkafka's mock cluster. It speaks the real protocol on a
//! loopback port, so that other processes and kcat can use it too.
//!
//! Its limits: it keeps 5 MiB a partition and forgets the oldest beyond that, acknowledged or not; it knows no admin
//! calls; it is gone with the process.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use xact_contracts::topology::Topics;

/// Bytes that a partition keeps.
pub const PARTITION_BYTES: usize = 5 * 1024 * 1024;

/// A running broker; gone when dropped.
pub struct EmbeddedBroker(MockCluster<'static, DefaultProducerContext>);

/// The broker could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker cannot be started: {0}; set LOCAL_KAFKA_BOOTSTRAP_SERVERS to use another one")]
pub struct EmbeddedError(#[from] KafkaError);

impl EmbeddedBroker {
    /// Starts a broker with all topics.
    ///
    /// # Errors
    /// When librdkafka cannot open its loopback port or refuses a topic.
    pub fn start(topics: &Topics) -> Result<Self, EmbeddedError> {
        let cluster = MockCluster::new(1)?;
        for (role, name) in topics.all() {
            cluster.create_topic(name, role.partitions(), 1)?;
        }
        Ok(Self(cluster))
    }

    /// Where it listens: `127.0.0.1:port`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }
}
