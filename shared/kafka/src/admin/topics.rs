//! The clusters that the settings name, and the pipeline's topics on them: listing and creating.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::admin::error::AdminError;
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::client_config;
use crate::connection::Connection;
use crate::connection_error::namespace;
use xact_config::{ClusterSettings, Security, Settings};
use xact_contracts::topology::TopicRole;

/// Whether a topic exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Name.
    pub name: String,
    /// Number of partitions; `None` if the topic does not exist.
    pub partitions: Option<usize>,
    /// Number of partitions that the topic is created with.
    pub wanted: i32,
}

/// A cluster that the settings name, with the topics that belong on it.
#[derive(Debug, Clone)]
pub struct Cluster {
    settings: ClusterSettings,
    topics: Vec<(TopicRole, String)>,
}

/// Returns the clusters that the settings name.
#[must_use]
pub fn clusters(settings: &Settings) -> Vec<Cluster> {
    let all = settings.topics.all();
    let cluster = |settings: &ClusterSettings, topics: Vec<(TopicRole, &str)>| Cluster {
        settings: settings.clone(),
        topics: topics.into_iter().map(|(role, name)| (role, name.to_owned())).collect(),
    };
    match &settings.events_cluster {
        None => vec![cluster(&settings.internal_cluster, all)],
        Some(events) => {
            let (raw, internal) = all.into_iter().partition(|(role, _)| *role == TopicRole::Raw);
            vec![cluster(events, raw), cluster(&settings.internal_cluster, internal)]
        }
    }
}

impl Cluster {
    /// Returns the cluster's purpose in the pipeline.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.topics.as_slice() {
            [(TopicRole::Raw, _)] => "events cluster",
            topics if topics.iter().any(|(role, _)| *role == TopicRole::Raw) => "all on one cluster",
            _ => "internal cluster",
        }
    }

    /// Returns `host:port`, comma-separated.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.settings.bootstrap_servers
    }

    /// Returns which of the cluster's topics exist. Blocks.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub fn list(&self) -> Result<Vec<TopicState>, AdminError> {
        let metadata = MetadataClient::new(&self.settings)?.request("topics cannot be listed", |client| {
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
        Ok(self.topics.iter().map(state).collect())
    }
}

/// Returns which of the pipeline's topics exist. Blocks.
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

/// Time between two listings of topics that were just created.
const LIST_INTERVAL: Duration = Duration::from_millis(50);

/// Creates the missing topics and returns their names, when the broker lists them.
///
/// # Errors
/// When a broker cannot be reached or refuses, or when clients must not create topics there.
pub async fn create(settings: &Settings) -> Result<Vec<String>, AdminError> {
    let mut created = Vec::new();
    for cluster in clusters(settings) {
        let missing = missing(&cluster).await?;
        if missing.is_empty() {
            continue;
        }
        let cluster_settings = &cluster.settings;
        // librdkafka's admin client requests tokens in a way that rdkafka does not serve. On Event Hubs clients cannot
        // create topics in any case.
        if let Security::Identity(_) = cluster_settings.security {
            return Err(AdminError::CreatedByDeployment {
                topics: missing.into_iter().map(|state| state.name).collect(),
                namespace: namespace(cluster_settings).to_owned(),
            });
        }
        created.extend(create_on(cluster_settings, &missing).await?);
        wait_until_listed(&cluster).await?;
    }
    Ok(created)
}

async fn missing(cluster: &Cluster) -> Result<Vec<TopicState>, AdminError> {
    let cluster = cluster.clone();
    let states = tokio::task::spawn_blocking(move || cluster.list()).await;
    let states = states.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    Ok(states.into_iter().filter(|state| state.partitions.is_none()).collect())
}

/// A broker acknowledges a new topic before its own metadata has it, so that a client which asks at once finds none. Returns
/// also after the time of a request: the topics are created.
async fn wait_until_listed(cluster: &Cluster) -> Result<(), AdminError> {
    let begun = Instant::now();
    while !missing(cluster).await?.is_empty() && begun.elapsed() < REQUEST_TIMEOUT {
        tokio::time::sleep(LIST_INTERVAL).await;
    }
    Ok(())
}

async fn create_on(cluster: &ClusterSettings, missing: &[TopicState]) -> Result<Vec<String>, AdminError> {
    let admin: AdminClient<Connection> = client_config::client(cluster)
        .create_with_context(Connection::for_metadata_client(cluster))
        .map_err(AdminError::request("the admin client cannot be created", cluster))?;
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        // -1: the broker's default replication.
        .map(|topic| NewTopic::new(&topic.name, topic.wanted, TopicReplication::Fixed(-1)))
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(REQUEST_TIMEOUT))
        .request_timeout(Some(REQUEST_TIMEOUT));
    let results = admin
        .create_topics(&new, &options)
        .await
        .map_err(AdminError::request("topics cannot be created", cluster))?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(topic) => created.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let namespace = namespace(cluster).to_owned();
                return Err(AdminError::CreateRejected { topic, code, namespace });
            }
        }
    }
    Ok(created)
}
