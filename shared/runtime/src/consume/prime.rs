//! New partitions before their first record: where they begin, and whether the tables agree.
//!
//! A partition without a committed position gets its start position committed, so that the autoscaler never sees an
//! invalid one; a stage with tables compares their positions with the topic's end.

use super::hooks::Hooks;
use super::partition::Partition;
use crate::config::OffsetReset;
use crate::handler::Assigned;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the broker's answer to one question.
const ANSWER: Duration = Duration::from_secs(5);

/// Start and end of the partitions; `reset` decides where one without a committed position begins.
pub(super) fn positions(
    consumer: &BaseConsumer<Hooks>,
    partitions: &[Arc<Partition>],
    reset: OffsetReset,
) -> KafkaResult<Vec<(Assigned, bool)>> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.id);
    }
    let committed = consumer.committed_offsets(list, ANSWER)?;
    partitions
        .iter()
        .map(|partition| {
            let (low, high) = consumer.fetch_watermarks(&partition.topic, partition.id, ANSWER)?;
            let position = committed
                .find_partition(&partition.topic, partition.id)
                .and_then(|element| element.offset().to_raw())
                .filter(|&offset| offset >= 0);
            let start = position.unwrap_or(match reset {
                OffsetReset::Earliest => low,
                OffsetReset::Latest => high,
            });
            let assigned = Assigned {
                app_id: partition.app_id.clone(),
                topic: partition.topic.to_string(),
                partition: partition.id,
                start,
                end: high,
            };
            Ok((assigned, position.is_none()))
        })
        .collect()
}

/// Commits the start positions of partitions that have none.
pub(super) fn commit_start(consumer: &BaseConsumer<Hooks>, starts: &[&Assigned]) -> KafkaResult<()> {
    if starts.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for assigned in starts {
        list.add_partition_offset(&assigned.topic, assigned.partition, Offset::Offset(assigned.start))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}
