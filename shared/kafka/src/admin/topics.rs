//! Listing and creating the pipeline's topics.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use crate::admin::clusters::{TopicState, clusters};
use crate::admin::error::AdminError;
use crate::admin::request::REQUEST_TIMEOUT;
use crate::client_config;
use crate::connection::Connection;
use crate::connection_error::namespace;
use xact_config::{ClusterSettings, Security, Settings};

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

/// Creates the missing topics and returns their names.
///
/// # Errors
/// When a broker cannot be reached or refuses, or when clients must not create topics there.
pub async fn create(settings: &Settings) -> Result<Vec<String>, AdminError> {
    let mut created = Vec::new();
    for cluster in clusters(settings) {
        let cluster_settings = cluster.settings.clone();
        let states = tokio::task::spawn_blocking(move || cluster.list()).await;
        let states = states.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let missing: Vec<TopicState> = states.into_iter().filter(|state| state.partitions.is_none()).collect();
        if missing.is_empty() {
            continue;
        }
        // librdkafka's admin client requests tokens in a way that rdkafka does not serve. On Event Hubs clients cannot
        // create topics in any case.
        if let Security::Identity(_) = cluster_settings.security {
            return Err(AdminError::CreatedByDeployment {
                topics: missing.into_iter().map(|state| state.name).collect(),
                namespace: namespace(&cluster_settings).to_owned(),
            });
        }
        created.extend(create_on(&cluster_settings, &missing).await?);
    }
    Ok(created)
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
