//! Offsets without records: transaction markers and records of aborted transactions.
//!
//! A consumer never receives them. At the end of a partition, the committed offset would stay before them forever and
//! show a lag that no work can reduce. librdkafka's own position moves past such an offset once the polling thread has
//! received everything before it. After an assignment or a seek it is empty until the first record.

use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::partition::Partition;

/// Advances the partitions over offsets without records that the client has passed. Must be called on the polling thread: every record before
/// the client's position has been tracked by then.
pub(super) fn skip<C: ConsumerContext>(consumer: &BaseConsumer<C>, partitions: &[Arc<Partition>]) {
    let Ok(delivered) = consumer.position() else {
        return;
    };
    for partition in partitions {
        if let Some(next) = position(&delivered, partition) {
            partition.offsets().skip_to(next);
        }
    }
}

/// Whether the client has delivered offsets of any of these partitions.
pub(super) fn has_position<'a, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    mut partitions: impl Iterator<Item = &'a Partition>,
) -> bool {
    let Ok(delivered) = consumer.position() else {
        return true;
    };
    partitions.any(|partition| position(&delivered, partition).is_some())
}

fn position(delivered: &TopicPartitionList, partition: &Partition) -> Option<i64> {
    let element = delivered.find_partition(&partition.topic, partition.id)?;
    element.offset().to_raw().filter(|&offset| offset >= 0)
}
