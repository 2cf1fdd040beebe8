//! Consumer groups, as Kafka's own tool sees them.

use harness::{Kafka, Result};
use std::collections::BTreeMap;

/// Committed position and lag of each group, summed over its partitions.
///
/// # Errors
/// When the tool fails.
pub fn positions(kafka: &Kafka) -> Result<BTreeMap<String, (u64, u64)>> {
    // Its own five seconds are too few for a busy machine, and it ends well without having told anything.
    let args = ["--describe", "--all-groups", "--timeout", "60000"];
    let text = kafka.tool("consumer.group.ConsumerGroupCommand", &args)?;
    let mut groups: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in text.lines() {
        // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
        let cells: Vec<&str> = line.split_whitespace().collect();
        if let [group, _, _, current, _, lag, ..] = cells.as_slice()
            && let (Ok(current), Ok(lag)) = (current.parse::<u64>(), lag.parse::<u64>())
        {
            let sums = groups.entry((*group).to_owned()).or_default();
            *sums = (sums.0 + current, sums.1 + lag);
        }
    }
    Ok(groups)
}
