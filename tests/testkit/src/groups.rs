//! Consumer groups as reported by Kafka's own tool.

use std::collections::BTreeMap;

use crate::{Kafka, Result};

/// The position of a group in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Its committed offset; `None` if it has none.
    pub committed: Option<u64>,
    /// The partition's end.
    pub end: Option<u64>,
}

/// Returns the position of each group in each partition. Partitions without committed offset and without member are omitted.
pub fn partitions(kafka: &Kafka) -> Result<BTreeMap<String, Vec<Position>>> {
    // The default timeout of five seconds is too short for a busy machine, and the tool then exits with 0 without any output.
    let args = ["--describe", "--all-groups", "--timeout", "60000"];
    let text = kafka.tool("consumer.group.ConsumerGroupCommand", &args)?;
    let mut groups: BTreeMap<String, Vec<Position>> = BTreeMap::new();
    for line in text.lines() {
        // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
        let cells: Vec<&str> = line.split_whitespace().collect();
        if let [group, topic, partition, committed, end, _lag, ..] = cells.as_slice()
            && let Ok(partition) = partition.parse()
        {
            groups.entry((*group).to_owned()).or_default().push(Position {
                topic: (*topic).to_owned(),
                partition,
                committed: committed.parse().ok(),
                end: end.parse().ok(),
            });
        }
    }
    Ok(groups)
}

/// Returns committed position and lag of each group, summed over its partitions.
pub fn positions(kafka: &Kafka) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut groups: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (group, positions) in partitions(kafka)? {
        for position in positions {
            if let (Some(committed), Some(end)) = (position.committed, position.end)
                && let Some(lag) = end.checked_sub(committed)
            {
                let sums = groups.entry(group.clone()).or_default();
                *sums = (sums.0 + committed, sums.1 + lag);
            }
        }
    }
    Ok(groups)
}
