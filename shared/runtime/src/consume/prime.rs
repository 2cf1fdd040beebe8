//! New partitions before their first record: where they begin, and whether the tables agree.
//!
//! A partition without a committed position gets its start position committed, so that the autoscaler never sees an
//! invalid one; so does a partition whose committed position has expired, for its lag would never end. A stage with
//! tables compares their positions with the group's and the topic's, and may begin elsewhere.

use super::hooks::Hooks;
use super::partition::Partition;
use crate::commit_note::CommitNote;
use crate::config::OffsetReset;
use crate::handler::Assigned;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the broker's answer to one question: the polling thread has other partitions as well.
const ANSWER: Duration = Duration::from_secs(3);

/// Where reading of a partition begins.
pub(super) struct Start {
    pub(super) partition: Arc<Partition>,
    pub(super) assigned: Assigned,
}

/// Start and end of the partitions; `reset` decides where one without a committed position begins. Partitions that
/// have no leader now are left out.
pub(super) fn positions(
    consumer: &BaseConsumer<Hooks>,
    partitions: &[Arc<Partition>],
    reset: OffsetReset,
) -> KafkaResult<Vec<Start>> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.id);
    }
    let committed = consumer.committed_offsets(list, ANSWER)?;
    let mut starts = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let Ok((low, high)) = consumer.fetch_watermarks(&partition.topic, partition.id, ANSWER) else {
            continue;
        };
        let Some(element) = committed.find_partition(&partition.topic, partition.id) else {
            continue;
        };
        // An error here is no "nothing was committed": taken for that, it would move the group.
        element.error()?;
        let position = element.offset().to_raw().filter(|&offset| offset >= 0);
        let start = match (position, reset) {
            (Some(position), _) => position.max(low),
            (None, OffsetReset::Earliest) => low,
            (None, OffsetReset::Latest) => high,
        };
        starts.push(Start {
            partition: Arc::clone(partition),
            assigned: Assigned {
                app_id: partition.app_id.clone(),
                topic: partition.topic.to_string(),
                partition: partition.id,
                committed: position,
                note: position.and_then(|_| CommitNote::read(element.metadata())),
                start,
                first: low,
                end: high,
            },
        });
    }
    Ok(starts)
}

/// Says so if records expired before the group had read them: nothing can bring them back.
pub(super) fn tell_expired(worker: &str, assigned: &Assigned) {
    let Assigned {
        topic,
        partition,
        committed: Some(committed),
        first,
        ..
    } = assigned
    else {
        return;
    };
    if committed < first {
        let records = first - committed;
        tracing::error!(
            worker,
            topic,
            partition,
            records,
            "records expired before they were read: the stage was down, or behind, for longer than the topic keeps them"
        );
    }
}

/// Commits start positions, and reads from exactly there.
pub(super) fn begin_at(consumer: &BaseConsumer<Hooks>, starts: &[(&Assigned, i64)]) -> KafkaResult<()> {
    if starts.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (assigned, start) in starts {
        list.add_partition_offset(&assigned.topic, assigned.partition, Offset::Offset(*start))?;
    }
    consumer.commit(&list, CommitMode::Sync)?;
    consumer.seek_partitions(list, ANSWER)?;
    Ok(())
}
