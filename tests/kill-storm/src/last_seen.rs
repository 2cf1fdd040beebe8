//! Where something that is lost was last seen: in which topics, and in whose log.

use crate::cluster::Cluster;
use xact_testkit::Result;
use xact_testkit::kcat;
use xact_testkit::stages::TOPICS;

/// The places of each id, in words.
///
/// # Errors
/// When the broker cannot be read.
pub fn places(cluster: &Cluster, ids: &[String]) -> Result<Vec<String>> {
    let mut topics = Vec::new();
    for (topic, _) in TOPICS {
        topics.push((topic, kcat::consume(cluster.broker(), topic)?));
    }
    let logs = cluster.logs();
    let place = |id: &String| {
        let mut lines = Vec::new();
        for (topic, records) in &topics {
            let there = records.iter().filter(|record| contains(&record.value, id.as_bytes()));
            let there: Vec<String> = there
                .map(|record| format!("{}@{}", record.partition, record.offset))
                .collect();
            if !there.is_empty() {
                lines.push(format!("    {topic}: {}", there.join(" ")));
            }
        }
        for (name, log) in &logs {
            let told: Vec<&str> = log.lines().filter(|line| line.contains(id.as_str())).collect();
            if let Some(last) = told.last() {
                let last: String = last.chars().take(400).collect();
                lines.push(format!("    log of {name}, {} lines, the last one: {last}", told.len()));
            }
        }
        format!("  {id}\n{}", lines.join("\n"))
    };
    Ok(ids.iter().map(place).collect())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
