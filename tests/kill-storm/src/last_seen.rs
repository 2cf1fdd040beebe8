//! Finds the topics and logs in which the ids of a finding occur.

use crate::cluster::Cluster;
use xact_testkit::Result;
use xact_testkit::kcat;
use xact_testkit::stages::TOPICS;

/// Returns a text for each id: its offsets in every topic, and the last line that names it in each log.
pub fn places(cluster: &Cluster, ids: &[String]) -> Result<Vec<String>> {
    let mut topics = Vec::new();
    for (topic, _) in TOPICS {
        topics.push((topic, kcat::consume(cluster.broker(), topic)?));
    }
    let logs = cluster.logs();
    let place = |id: &String| {
        let mut lines = Vec::new();
        for (topic, records) in &topics {
            let offsets = records.iter().filter(|record| contains(&record.value, id.as_bytes()));
            let offsets: Vec<String> = offsets
                .map(|record| format!("{}@{}", record.partition, record.offset))
                .collect();
            if !offsets.is_empty() {
                lines.push(format!("    {topic}: {}", offsets.join(" ")));
            }
        }
        for (name, log) in &logs {
            let found: Vec<&str> = log.lines().filter(|line| line.contains(id.as_str())).collect();
            if let Some(last) = found.last() {
                let last: String = last.chars().take(400).collect();
                lines.push(format!(
                    "    log of {name}, {} lines, the last one: {last}",
                    found.len()
                ));
            }
        }
        format!("  {id}\n{}", lines.join("\n"))
    };
    Ok(ids.iter().map(place).collect())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
