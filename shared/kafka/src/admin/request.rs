//! One question to a broker: how long it may take, how often it is repeated, and its errors.

use std::time::Duration;

use backon::{BlockingRetryable, ConstantBuilder};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use xact_config::ClusterSettings;

/// Longest wait for one answer of a broker.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A question to a broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The broker did not answer as it should.
    #[error("{what}: {error}; check that the broker at {bootstrap} runs and may be reached")]
    Broker {
        /// What was asked.
        what: String,
        /// Where.
        bootstrap: String,
        /// Its answer.
        error: Box<KafkaError>,
    },
    /// The cluster cannot be used, and it is known why.
    #[error("{what}: {trouble}")]
    Trouble {
        /// What was asked.
        what: String,
        /// Why there is no answer, and what to do.
        trouble: String,
    },
    /// The broker refused to create a topic.
    #[error("topic {topic} cannot be created: {code}; {}", by_deployment(.namespace))]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
        /// Namespace or host.
        namespace: String,
    },
    /// Topics that are not there, where no client creates any.
    #[error(
        "these topics are missing: {}; {}",
        .topics.join(", "),
        by_deployment(.namespace)
    )]
    ByDeployment {
        /// The topics.
        topics: Vec<String>,
        /// Namespace or host.
        namespace: String,
    },
    /// The topic is not there.
    #[error(
        "there is no topic {topic} at {bootstrap}: create it (`topics create`), or check its name and the bootstrap servers"
    )]
    Missing {
        /// The topic.
        topic: String,
        /// Where it was looked for.
        bootstrap: String,
    },
    /// The broker stopped answering while a topic was read.
    #[error(
        "{bootstrap} fell silent for {seconds} s while partitions {partitions:?} of {topic} were read: {reason}; what was read so far is not all. Check the broker and run the command again"
    )]
    Silent {
        /// The topic.
        topic: String,
        /// What was not read to its end.
        partitions: Vec<i32>,
        /// How long nothing came.
        seconds: u64,
        /// Where.
        bootstrap: String,
        /// Its last words.
        reason: String,
    },
}

/// On Event Hubs a client may not create topics, whoever it is.
fn by_deployment(namespace: &str) -> String {
    format!(
        "on Event Hubs, topics are created by the deployment (bicep/), or by hand: az eventhubs eventhub create \
         --resource-group <resource group> --namespace-name {namespace} --name <topic> --partition-count <partitions>"
    )
}

impl AdminError {
    pub(crate) fn broker(what: impl Into<String>, cluster: &ClusterSettings) -> impl FnOnce(KafkaError) -> Self {
        let (what, bootstrap) = (what.into(), cluster.bootstrap_servers.clone());
        move |error| Self::Broker {
            what,
            bootstrap,
            error: Box::new(error),
        }
    }
}

/// Asks again, for a while, what a broker cannot answer yet: while a leader or a coordinator moves or is just being
/// chosen, and before a client has heard of a new topic. Blocks.
pub(crate) fn with_retries<T>(ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let waits = ConstantBuilder::default()
        .with_delay(Duration::from_millis(200))
        .with_max_times(usize::try_from(REQUEST_TIMEOUT.as_millis() / 200).unwrap_or(1));
    ask.retry(waits)
        .when(|error| {
            matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::NotCoordinator
                        | RDKafkaErrorCode::CoordinatorNotAvailable
                        | RDKafkaErrorCode::CoordinatorLoadInProgress
                )
            )
        })
        .call()
}
