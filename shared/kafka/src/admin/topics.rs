//! Topics from outside: creating them, and how far each group is behind.

mod lag;
mod oldest;

pub use lag::{LagReader, PartitionLag};
pub use oldest::{Oldest, oldest_unfinished};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::admin::metadata_client::MetadataClient;
use crate::admin::request::{AdminError, REQUEST_TIMEOUT};
use crate::client_config;
use crate::connection::Connection;
use crate::connection_error::namespace;
use xact_config::{ClusterSettings, Security, Settings};
use xact_contracts::topology::TopicRole;

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
    pub fn list(&self) -> Result<Vec<TopicState>, AdminError> {
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
pub async fn create(settings: &Settings) -> Result<Vec<String>, AdminError> {
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
            return Err(AdminError::ByDeployment {
                topics: missing.into_iter().map(|state| state.name).collect(),
                namespace: namespace(cluster).to_owned(),
            });
        }
        created.extend(create_on(cluster, &missing).await?);
    }
    Ok(created)
}

async fn create_on(cluster: &ClusterSettings, missing: &[TopicState]) -> Result<Vec<String>, AdminError> {
    let admin: AdminClient<Connection> = client_config::client(cluster)
        .create_with_context(Connection::of_metadata_client(cluster))
        .map_err(AdminError::broker("the admin client cannot be made", cluster))?;
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        // -1: the broker's own default replication.
        .map(|topic| NewTopic::new(&topic.name, topic.wanted, TopicReplication::Fixed(-1)))
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(REQUEST_TIMEOUT))
        .request_timeout(Some(REQUEST_TIMEOUT));
    let answers = admin
        .create_topics(&new, &options)
        .await
        .map_err(AdminError::broker("topics cannot be created", cluster))?;
    let mut created = Vec::new();
    for answer in answers {
        match answer {
            Ok(topic) => created.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let namespace = namespace(cluster).to_owned();
                return Err(AdminError::Refused { topic, code, namespace });
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
pub fn list(settings: &Settings) -> Result<Vec<TopicState>, AdminError> {
    let mut states = Vec::new();
    for cluster in clusters(settings) {
        states.extend(cluster.list()?);
    }
    Ok(states)
}

fn list_on(cluster: &ClusterSettings, topics: &[(TopicRole, String)]) -> Result<Vec<TopicState>, AdminError> {
    let metadata = MetadataClient::new(cluster)?.ask("topics cannot be listed", |client| {
        client.fetch_metadata(None, REQUEST_TIMEOUT)
    })?;
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
