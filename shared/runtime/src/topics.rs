//! Topics from outside: creating them, and how far each group is behind.

mod lag;
mod oldest;

pub use lag::{LagReader, PartitionLag};
pub use oldest::{Oldest, oldest_unfinished};

use crate::cluster;
use crate::config::{ClusterSettings, Security, Settings};
use crate::connection::Connection;
use crate::onlooker::Onlooker;
use crate::trouble::namespace;
use backon::{BlockingRetryable, ConstantBuilder};
use contracts::topology::TopicRole;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

/// Longest wait for one answer of a broker.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// A question to a broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
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

impl TopicsError {
    pub(crate) fn broker(what: impl Into<String>, cluster: &ClusterSettings) -> impl FnOnce(KafkaError) -> Self {
        let (what, bootstrap) = (what.into(), cluster.bootstrap_servers.clone());
        move |error| Self::Broker {
            what,
            bootstrap,
            error: Box::new(error),
        }
    }
}

/// A topic that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Name.
    pub name: String,
    /// Partitions; `None`: the topic is not there.
    pub partitions: Option<usize>,
    /// Partitions that it is created with.
    pub wanted: i32,
}

/// Asks again, for a while, what a broker cannot answer yet: while a leader or a coordinator moves or is just being
/// chosen, and before a client has heard of a new topic. Blocks.
pub(crate) fn patiently<T>(ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let waits = ConstantBuilder::default()
        .with_delay(Duration::from_millis(200))
        .with_max_times(usize::try_from(ANSWER.as_millis() / 200).unwrap_or(1));
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

/// Each cluster with the topics that are on it.
fn by_cluster(settings: &Settings) -> Vec<(&ClusterSettings, Vec<(TopicRole, &str)>)> {
    let all = settings.topics.all();
    match &settings.events_cluster {
        None => vec![(&settings.internal_cluster, all)],
        Some(events) => {
            let (raw, internal) = all.into_iter().partition(|(role, _)| *role == TopicRole::Raw);
            vec![(events, raw), (&settings.internal_cluster, internal)]
        }
    }
}

/// A cluster that the settings name, with the topics that are on it.
#[derive(Debug, Clone)]
pub struct Cluster {
    settings: ClusterSettings,
    topics: Vec<(TopicRole, String)>,
}

impl Cluster {
    /// What it is to the pipeline.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.topics.as_slice() {
            [(TopicRole::Raw, _)] => "events cluster",
            topics if topics.iter().any(|(role, _)| *role == TopicRole::Raw) => "all on one cluster",
            _ => "internal cluster",
        }
    }

    /// `host:port`, comma-separated.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.settings.bootstrap_servers
    }

    /// Which of its topics are there. Blocks.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub fn list(&self) -> Result<Vec<TopicState>, TopicsError> {
        list_on(&self.settings, &self.topics)
    }
}

/// The clusters that the settings name.
#[must_use]
pub fn clusters(settings: &Settings) -> Vec<Cluster> {
    let cluster = |(cluster, topics): (&ClusterSettings, Vec<(TopicRole, &str)>)| Cluster {
        settings: cluster.clone(),
        topics: owned(&topics),
    };
    by_cluster(settings).into_iter().map(cluster).collect()
}

/// Creates the topics that are missing; returns their names.
///
/// # Errors
/// When a broker cannot be reached or refuses, or when it is not for clients to create topics there.
pub async fn create(settings: &Settings) -> Result<Vec<String>, TopicsError> {
    let mut created = Vec::new();
    for (cluster, topics) in by_cluster(settings) {
        let missing = {
            let (cluster, topics) = (cluster.clone(), owned(&topics));
            let states = tokio::task::spawn_blocking(move || list_on(&cluster, &topics)).await;
            states.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?
        };
        let missing: Vec<TopicState> = missing.into_iter().filter(|state| state.partitions.is_none()).collect();
        if missing.is_empty() {
            continue;
        }
        // librdkafka's admin client asks for a token, and rdkafka never hears of it. Nor would it help: see the error.
        if let Security::Identity(_) = cluster.security {
            return Err(TopicsError::ByDeployment {
                topics: missing.into_iter().map(|state| state.name).collect(),
                namespace: namespace(cluster).to_owned(),
            });
        }
        created.extend(create_on(cluster, &missing).await?);
    }
    Ok(created)
}

async fn create_on(cluster: &ClusterSettings, missing: &[TopicState]) -> Result<Vec<String>, TopicsError> {
    let admin: AdminClient<Connection> = cluster::client(cluster)
        .create_with_context(Connection::of_onlooker(cluster))
        .map_err(TopicsError::broker("the admin client cannot be made", cluster))?;
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        // -1: the broker's own default replication.
        .map(|topic| NewTopic::new(&topic.name, topic.wanted, TopicReplication::Fixed(-1)))
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(ANSWER))
        .request_timeout(Some(ANSWER));
    let answers = admin
        .create_topics(&new, &options)
        .await
        .map_err(TopicsError::broker("topics cannot be created", cluster))?;
    let mut created = Vec::new();
    for answer in answers {
        match answer {
            Ok(topic) => created.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let namespace = namespace(cluster).to_owned();
                return Err(TopicsError::Refused { topic, code, namespace });
            }
        }
    }
    Ok(created)
}

fn owned(topics: &[(TopicRole, &str)]) -> Vec<(TopicRole, String)> {
    topics.iter().map(|(role, name)| (*role, (*name).to_owned())).collect()
}

/// Which of our topics are there. Blocks.
///
/// # Errors
/// When a broker cannot be reached.
pub fn list(settings: &Settings) -> Result<Vec<TopicState>, TopicsError> {
    let mut states = Vec::new();
    for cluster in clusters(settings) {
        states.extend(cluster.list()?);
    }
    Ok(states)
}

fn list_on(cluster: &ClusterSettings, topics: &[(TopicRole, String)]) -> Result<Vec<TopicState>, TopicsError> {
    let metadata =
        Onlooker::new(cluster)?.ask("topics cannot be listed", |client| client.fetch_metadata(None, ANSWER))?;
    let state = |(role, name): &(TopicRole, String)| {
        let found = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == name && topic.error().is_none());
        TopicState {
            name: name.clone(),
            partitions: found.map(|topic| topic.partitions().len()).filter(|&count| count > 0),
            wanted: role.partitions(),
        }
    };
    Ok(topics.iter().map(state).collect())
}
