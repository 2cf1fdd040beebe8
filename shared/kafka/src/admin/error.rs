//! Errors of an operator's requests.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::connection_error::ConnectionError;
use xact_config::ClusterSettings;

/// An operator's request failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The request failed, and no connection error explains it.
    #[error("{what}: {error}; check that the broker at {bootstrap} runs and can be reached")]
    Request {
        /// What failed.
        what: String,
        /// The cluster.
        bootstrap: String,
        /// The error.
        error: Box<KafkaError>,
    },
    /// The cluster cannot be used.
    #[error("{what}: {error}")]
    Connection {
        /// What failed.
        what: String,
        /// Why, and what to do about it.
        error: Box<ConnectionError>,
    },
    /// The broker rejected the creation of a topic.
    #[error("topic {topic} cannot be created: {code}; {}", created_by_deployment(.namespace))]
    CreateRejected {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
        /// Namespace or host.
        namespace: String,
    },
    /// Topics are missing on a cluster where clients do not create any.
    #[error(
        "these topics are missing: {}; {}",
        .topics.join(", "),
        created_by_deployment(.namespace)
    )]
    CreatedByDeployment {
        /// The topics.
        topics: Vec<String>,
        /// Namespace or host.
        namespace: String,
    },
    /// The topic does not exist.
    #[error(
        "there is no topic {topic} at {bootstrap}: create it (`topics create`), or check its name and the bootstrap servers"
    )]
    MissingTopic {
        /// The topic.
        topic: String,
        /// The cluster.
        bootstrap: String,
    },
    /// The broker stopped sending records while a topic was read.
    #[error(
        "no data from {bootstrap} for {seconds} s while reading partitions {partitions:?} of {topic}: {reason}; the result is incomplete. Check the broker and run the command again"
    )]
    NoData {
        /// The topic.
        topic: String,
        /// Partitions that were not read to their end.
        partitions: Vec<i32>,
        /// How long the command waited.
        seconds: u64,
        /// The cluster.
        bootstrap: String,
        /// The client's last error.
        reason: String,
    },
}

/// On Event Hubs, clients cannot create topics through Kafka with any role.
fn created_by_deployment(namespace: &str) -> String {
    format!(
        "on Event Hubs, topics are created by the deployment (bicep/), or by hand: az eventhubs eventhub create \
         --resource-group <resource group> --namespace-name {namespace} --name <topic> --partition-count <partitions>"
    )
}

impl AdminError {
    /// Returns a function that wraps a client's error, for `map_err`.
    pub(crate) fn request(what: impl Into<String>, cluster: &ClusterSettings) -> impl FnOnce(KafkaError) -> Self {
        let (what, bootstrap) = (what.into(), cluster.bootstrap_servers.clone());
        move |error| Self::Request {
            what,
            bootstrap,
            error: Box::new(error),
        }
    }
}
