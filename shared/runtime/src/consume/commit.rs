//! Commits of the partitions' positions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ConstantBuilder};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::partition::Partition;
use xact_kafka::CommitMetadata;

/// Attempts of a commit that is waited for, and the delay between them: electing another group coordinator takes a moment.
const COMMIT_ATTEMPTS: usize = 3;
const COMMIT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Commits the positions that have changed since the last commit, without waiting for the result.
/// [`Partition::confirm_commit`] detects a commit that was lost.
pub(super) fn commit_changed<C: ConsumerContext>(consumer: &BaseConsumer<C>, partitions: &[Arc<Partition>]) {
    let now = Instant::now();
    let changed = |partition: &Arc<Partition>| Some((Arc::clone(partition), partition.next_commit(now)?));
    let changed: Vec<_> = partitions.iter().filter_map(changed).collect();
    if let Err(error) = send(consumer, &changed, CommitMode::Async) {
        tracing::debug!(%error, "commit not sent; it is sent again");
        for (partition, _) in changed {
            partition.commit_failed();
        }
    }
}

/// Commits all positions and waits for the result, before the partitions are given up.
pub(super) fn commit_final<C: ConsumerContext>(consumer: &BaseConsumer<C>, partitions: &[Arc<Partition>]) {
    let position = |partition: &Arc<Partition>| Some((Arc::clone(partition), partition.position()?));
    let positions: Vec<_> = partitions.iter().filter_map(position).collect();
    if with_attempts(|| send(consumer, &positions, CommitMode::Sync)).is_err() {
        tracing::warn!(
            "the last positions could not be committed: records after the committed offsets will be read again"
        );
    }
}

/// Commits this list and waits for the result.
pub(super) fn commit_now<C: ConsumerContext>(consumer: &BaseConsumer<C>, list: &TopicPartitionList) -> KafkaResult<()> {
    with_attempts(|| consumer.commit(list, CommitMode::Sync))
}

/// Blocks the polling thread.
fn with_attempts(commit: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
    let delays = ConstantBuilder::default()
        .with_delay(COMMIT_RETRY_DELAY)
        .with_max_times(COMMIT_ATTEMPTS - 1);
    commit
        .retry(delays)
        .notify(|error, _| tracing::debug!(%error, "commit failed"))
        .call()
}

fn send<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    positions: &[(Arc<Partition>, i64)],
    mode: CommitMode,
) -> KafkaResult<()> {
    if positions.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (partition, position) in positions {
        let table_positions = partition.table_positions.lock().clone();
        if table_positions.is_empty() {
            list.add_partition_offset(&partition.topic, partition.id, Offset::Offset(*position))?;
        } else {
            CommitMetadata::Tables(table_positions).add_to(&mut list, &partition.topic, partition.id, *position)?;
        }
    }
    consumer.commit(&list, mode)
}
