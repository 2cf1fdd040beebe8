//! Offsets without records: the markers that end a transaction, and what was aborted.
//!
//! A consumer never sees them, so the position behind its last record would stay before them for ever, and with it a lag
//! that no work can end. librdkafka counts a marker as delivered when the polling thread has come past it, in the order of
//! the partition; so does its position, which begins anew with each assignment and each seek.

use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::hooks::Hooks;
use super::partition::Partition;

/// Moves the positions of the partitions over offsets without records that were delivered. To be called on the polling
/// thread: every record before the client's position has been taken by then.
pub(super) fn pass(consumer: &BaseConsumer<Hooks>, partitions: &[Arc<Partition>]) {
    let Ok(delivered) = consumer.position() else {
        return;
    };
    for partition in partitions {
        if let Some(next) = position(&delivered, partition) {
            partition.pass(next);
        }
    }
}

/// Whether the client has delivered anything of these partitions.
pub(super) fn has_position<'a>(
    consumer: &BaseConsumer<Hooks>,
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
