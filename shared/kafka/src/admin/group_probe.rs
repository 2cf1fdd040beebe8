//! Tests whether a consumer group can be joined and committed, with a group that no stage uses.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::client_config;
use crate::connection::Connection;
use xact_config::{ClusterSettings, Security, Settings};

/// Longest wait for the assignment of a partition. A broker delays the first one by seconds.
const JOIN_TIMEOUT: Duration = Duration::from_secs(45);

/// Joins `group` as a stage does, commits an offset for a partition of `topic` and reads it back. Blocks.
///
/// # Errors
/// When the broker refuses, does not answer, or returns another offset.
pub fn join_and_commit(
    cluster: &ClusterSettings,
    settings: &Settings,
    group: &str,
    topic: &str,
) -> Result<(), AdminError> {
    let client = MetadataClient::for_member(cluster, settings, group)?;
    let cannot = |action: &str| format!("group {group} cannot {action} {topic}");
    client.request(cannot("subscribe to"), |client| client.subscribe(&[topic]))?;
    let deadline = Instant::now() + JOIN_TIMEOUT;
    let mut last_error = KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut);
    let partition = loop {
        // The records are not used.
        if let Some(Err(error)) = client.poll(Duration::from_millis(100)) {
            last_error = error;
        }
        let assigned = client.request(cannot("read"), Consumer::assignment)?;
        if let Some(element) = assigned.elements_for_topic(topic).first() {
            break element.partition();
        }
        if Instant::now() > deadline {
            return Err(client.explain(cannot("be joined to read"), last_error));
        }
    };
    // No record is read from this position, so any offset will do.
    let offset = Offset::Offset(0);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset)
        .map_err(|error| client.explain(cannot("commit an offset of"), error))?;
    client.request(cannot("commit an offset of"), |client| {
        client.commit(&list, CommitMode::Sync)
    })?;
    let what = cannot("read its committed offset of");
    let committed = client.request(&what, |client| client.committed_offsets(list.clone(), REQUEST_TIMEOUT))?;
    match committed.find_partition(topic, partition) {
        Some(element) if element.offset() == offset => Ok(()),
        _ => Err(client.explain(what, KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset))),
    }
}

/// Removes a group without members. Returns why it remains, if the broker does not allow it.
pub async fn remove_group(cluster: &ClusterSettings, group: &str) -> Result<(), String> {
    // librdkafka's admin client requests tokens in a way that rdkafka does not serve.
    if let Security::Identity(_) = cluster.security {
        return Err("a client with an Azure identity cannot remove groups".to_owned());
    }
    let admin: AdminClient<Connection> = client_config::client(cluster)
        .create_with_context(Connection::for_metadata_client(cluster))
        .map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let results = admin.delete_groups(&[group], &options).await;
    for result in results.map_err(|error| error.to_string())? {
        result.map_err(|(_, code)| code.to_string())?;
    }
    Ok(())
}
