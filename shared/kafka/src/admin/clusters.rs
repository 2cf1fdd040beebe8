//! The clusters that the settings name, and which of the pipeline's topics are on them.

use rdkafka::consumer::Consumer;

use crate::admin::error::AdminError;
use crate::admin::metadata_client::MetadataClient;
use crate::admin::request::REQUEST_TIMEOUT;
use xact_config::{ClusterSettings, Settings};
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
    pub(crate) settings: ClusterSettings,
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
