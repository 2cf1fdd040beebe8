//! Where newly assigned partitions start: requests for committed offsets and watermarks, and the commit of start positions.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::partition::Partition;
use crate::handler::Assigned;
use xact_config::OffsetReset;
use xact_kafka::CommitMetadata;

/// Longest wait for librdkafka to seek. No broker is involved.
const SEEK_TIMEOUT: Duration = Duration::from_secs(3);

/// A newly assigned partition with its committed offset, its watermarks and its start position.
pub(super) struct StartPosition {
    pub(super) partition: Arc<Partition>,
    pub(super) assigned: Assigned,
}

/// Fetches committed offsets and watermarks, and returns the start position of each partition. `reset` decides where a
/// partition without a committed offset starts. Partitions whose watermarks are not answered are left out; usually they have
/// no leader. `timeout` limits each request.
pub(super) fn fetch<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[Arc<Partition>],
    reset: OffsetReset,
    timeout: Duration,
) -> KafkaResult<Vec<StartPosition>> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.id);
    }
    let committed_offsets = consumer.committed_offsets(list, timeout)?;
    let watermarks = watermarks(consumer, partitions, timeout);
    let mut starts = Vec::with_capacity(partitions.len());
    for (partition, watermarks) in partitions.iter().zip(watermarks) {
        let Some((low, high)) = watermarks else {
            continue;
        };
        let Some(element) = committed_offsets.find_partition(&partition.topic, partition.id) else {
            continue;
        };
        // An error does not mean "no committed offset". Treating it as such would move the group.
        element.error()?;
        let committed = element.offset().to_raw().filter(|&offset| offset >= 0);
        let start = match (committed, reset) {
            (Some(committed), _) => committed.max(low),
            (None, OffsetReset::Earliest) => low,
            (None, OffsetReset::Latest) => high,
        };
        starts.push(StartPosition {
            partition: Arc::clone(partition),
            assigned: Assigned {
                app_id: partition.app_id.clone(),
                topic: partition.topic.to_string(),
                partition: partition.id,
                committed,
                metadata: committed.and_then(|_| CommitMetadata::parse(element.metadata())),
                start,
                first: low,
                end: high,
            },
        });
    }
    Ok(starts)
}

/// Returns the low and high watermark of each partition; `None` without a response.
///
/// A broker answers the requests of a connection in order, and while other partitions are read it may hold a fetch for up to
/// `KAFKA_FETCH_WAIT_MS`. So all requests are sent at once and wait for one such fetch together, not for one each.
fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[Arc<Partition>],
    timeout: Duration,
) -> Vec<Option<(i64, i64)>> {
    let (low, high) = std::thread::scope(|scope| {
        let low = scope.spawn(|| offsets(consumer, partitions, Offset::Beginning, timeout));
        let high = offsets(consumer, partitions, Offset::End, timeout);
        (low.join(), high)
    });
    if let (Ok(Ok(low)), Ok(high)) = (low, high) {
        return low.into_iter().zip(high).map(|(low, high)| low.zip(high)).collect();
    }
    // A partition without a leader fails the whole request. Single requests succeed for the others.
    let one = |partition: &Arc<Partition>| consumer.fetch_watermarks(&partition.topic, partition.id, timeout).ok();
    partitions.iter().map(one).collect()
}

/// Returns one watermark of each partition, with one request to each leader.
fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[Arc<Partition>],
    end: Offset,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.id, end)?;
    }
    let found = consumer.offsets_for_times(list, timeout)?;
    let offset = |partition: &Arc<Partition>| {
        let element = found.find_partition(&partition.topic, partition.id)?;
        element.error().ok()?;
        element.offset().to_raw().filter(|&offset| offset >= 0)
    };
    Ok(partitions.iter().map(offset).collect())
}

/// Logs an error if records expired before the group had read them. They are lost.
pub(super) fn warn_offsets_expired(worker: &str, assigned: &Assigned) {
    let records = assigned.first - assigned.committed.unwrap_or(assigned.first);
    if records > 0 {
        tracing::error!(
            worker,
            topic = assigned.topic,
            partition = assigned.partition,
            records,
            "records expired before they were read: the stage was down or behind for longer than the topic's retention"
        );
    }
}

/// Commits start positions, and seeks to them.
pub(super) fn commit_and_seek<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    starts: &[(&Assigned, i64)],
) -> KafkaResult<()> {
    if starts.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (assigned, start) in starts {
        list.add_partition_offset(&assigned.topic, assigned.partition, Offset::Offset(*start))?;
    }
    consumer.commit(&list, CommitMode::Sync)?;
    consumer.seek_partitions(list, SEEK_TIMEOUT)?;
    Ok(())
}
