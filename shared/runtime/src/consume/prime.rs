//! New partitions before their first record: where they begin, and whether the tables agree.
//!
//! A partition without a committed position gets its start position committed, so that the autoscaler never sees an
//! invalid one; so does a partition whose committed position has expired, for its lag would never end. A stage with
//! tables compares their positions with the group's and the topic's, and may begin elsewhere.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::hooks::Hooks;
use super::partition::Partition;
use crate::handler::Assigned;
use xact_config::OffsetReset;
use xact_kafka::CommitMetadata;

/// Longest wait for librdkafka to move to the start positions: no broker is asked.
const SEEK: Duration = Duration::from_secs(3);

/// Where reading of a partition begins.
pub(super) struct Start {
    pub(super) partition: Arc<Partition>,
    pub(super) assigned: Assigned,
}

/// Start and end of the partitions; `reset` decides where one without a committed position begins. Partitions that
/// have no leader now are left out. `answer` is the longest wait for the answer to one question.
pub(super) fn positions(
    consumer: &BaseConsumer<Hooks>,
    partitions: &[Arc<Partition>],
    reset: OffsetReset,
    answer: Duration,
) -> KafkaResult<Vec<Start>> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.id);
    }
    let committed = consumer.committed_offsets(list, answer)?;
    let ends = watermarks(consumer, partitions, answer);
    let mut starts = Vec::with_capacity(partitions.len());
    for (partition, ends) in partitions.iter().zip(ends) {
        let Some((low, high)) = ends else {
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
                note: position.and_then(|_| CommitMetadata::parse(element.metadata())),
                start,
                first: low,
                end: high,
            },
        });
    }
    Ok(starts)
}

/// First offset and end of each partition; `None` where there is no answer.
///
/// A broker answers the requests of a connection in their order, and while other partitions are read it may hold a fetch
/// for as long as `KAFKA_FETCH_WAIT_MS` says. So all questions are asked at once, and wait for one such fetch together
/// instead of for one each.
fn watermarks(
    consumer: &BaseConsumer<Hooks>,
    partitions: &[Arc<Partition>],
    answer: Duration,
) -> Vec<Option<(i64, i64)>> {
    let (low, high) = std::thread::scope(|scope| {
        let low = scope.spawn(|| offsets(consumer, partitions, Offset::Beginning, answer));
        let high = offsets(consumer, partitions, Offset::End, answer);
        (low.join(), high)
    });
    if let (Ok(Ok(low)), Ok(high)) = (low, high) {
        return low
            .into_iter()
            .zip(high)
            .map(|(low, high)| Some((low?, high?)))
            .collect();
    }
    // One partition without a leader fails them all: each for itself, the others have an answer.
    let one = |partition: &Arc<Partition>| consumer.fetch_watermarks(&partition.topic, partition.id, answer).ok();
    partitions.iter().map(one).collect()
}

/// One end of each partition, asked for in one request to each leader.
fn offsets(
    consumer: &BaseConsumer<Hooks>,
    partitions: &[Arc<Partition>],
    end: Offset,
    answer: Duration,
) -> Result<Vec<Option<i64>>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.id, end)?;
    }
    let found = consumer.offsets_for_times(list, answer)?;
    let offset = |partition: &Arc<Partition>| {
        let element = found.find_partition(&partition.topic, partition.id)?;
        element.error().ok()?;
        element.offset().to_raw().filter(|&offset| offset >= 0)
    };
    Ok(partitions.iter().map(offset).collect())
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
    consumer.seek_partitions(list, SEEK)?;
    Ok(())
}
