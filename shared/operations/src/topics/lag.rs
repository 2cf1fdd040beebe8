//! How far each group is behind, by topic.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use xact_contracts::time;
use xact_kafka::admin;

/// Whether the age of the oldest unfinished records is read, which takes a request for each partition with lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldestRecord {
    /// It is not.
    Skip,
    /// It is.
    Read,
}

/// The answer of `lag`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LagAnswer {
    /// One entry for each group and topic.
    pub groups: Vec<GroupLag>,
    /// Topics that do not exist.
    pub missing_topics: Vec<String>,
}

/// The lag of a group in one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupLag {
    /// The consumer group.
    pub group: String,
    /// Its stage.
    pub stage: &'static str,
    /// The topic.
    pub topic: String,
    /// Records that the group has not finished, in all partitions.
    pub lag: u64,
    /// The partition with the largest lag; `None`: there is no lag.
    pub worst_partition: Option<i32>,
    /// The lag of that partition.
    pub worst_lag: u64,
    /// When the oldest unfinished record was written; `None`: there is none, or it was not read.
    #[serde(with = "time::optional")]
    pub oldest_unfinished: Option<Timestamp>,
    /// When the first of the next records of the partitions is due; `None`: nothing waits in a retry topic, or it was not read.
    #[serde(with = "time::optional")]
    pub next_due: Option<Timestamp>,
    /// The partitions.
    pub partitions: Vec<PartitionLag>,
}

/// The lag of a group in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionLag {
    /// The partition.
    pub partition: i32,
    /// The committed offset; `None`: the group has committed nothing yet.
    pub committed: Option<i64>,
    /// The high watermark: one past the last record.
    pub end: i64,
    /// Records that the group has not finished.
    pub lag: u64,
}

/// A group and a topic.
pub(super) type GroupAndTopic = (String, String);

/// What the next records of partitions say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// When the oldest of them was written.
    pub(super) written: Option<Timestamp>,
    /// When the first of them is due, in a retry topic.
    pub(super) due: Option<Timestamp>,
}

impl Head {
    /// Adds the next record of another partition.
    pub(super) fn add(&mut self, other: Self) {
        let earliest = |one: Option<Timestamp>, other| [one, other].into_iter().flatten().min();
        self.written = earliest(self.written, other.written);
        self.due = earliest(self.due, other.due);
    }
}

/// Adds up the partitions of each group and topic.
pub(super) fn by_group(lags: Vec<admin::PartitionLag>, heads: &BTreeMap<GroupAndTopic, Head>) -> Vec<GroupLag> {
    let mut groups: Vec<GroupLag> = Vec::new();
    for lag in lags {
        let is_next = |group: &GroupLag| group.group == lag.group && group.topic == lag.topic;
        if !groups.last().is_some_and(is_next) {
            let head = heads.get(&(lag.group.clone(), lag.topic.clone()));
            groups.push(GroupLag {
                oldest_unfinished: head.and_then(|head| head.written),
                next_due: head.and_then(|head| head.due),
                group: lag.group.clone(),
                stage: lag.stage.name(),
                topic: lag.topic.clone(),
                lag: 0,
                worst_partition: None,
                worst_lag: 0,
                partitions: Vec::new(),
            });
        }
        let Some(group) = groups.last_mut() else { continue };
        let records = lag.lag();
        group.lag += records;
        if records > group.worst_lag {
            (group.worst_partition, group.worst_lag) = (Some(lag.partition), records);
        }
        group.partitions.push(PartitionLag {
            partition: lag.partition,
            committed: lag.committed,
            end: lag.end,
            lag: records,
        });
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use xact_contracts::topology::Stage;

    fn partition(topic: &str, partition: i32, committed: i64) -> admin::PartitionLag {
        admin::PartitionLag {
            stage: Stage::Download,
            group: "xact-download-worker".to_owned(),
            topic: topic.to_owned(),
            partition,
            committed: Some(committed),
            start: 0,
            end: 10,
        }
    }

    #[test]
    fn a_group_has_one_entry_for_each_topic_with_its_worst_partition() {
        let lags = vec![partition("a", 0, 8), partition("a", 1, 3), partition("b", 0, 10)];
        let written: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let key = ("xact-download-worker".to_owned(), "a".to_owned());
        let head = Head {
            written: Some(written),
            due: None,
        };
        let groups = by_group(lags, &BTreeMap::from([(key, head)]));
        let partition = |partition: i32, committed: i64, lag: u64| json!({"partition": partition, "committed": committed, "end": 10, "lag": lag});
        let expected = json!([
            {"group": "xact-download-worker", "stage": "download", "topic": "a", "lag": 9, "worst_partition": 1,
                "worst_lag": 7, "oldest_unfinished": "2025-01-01T00:00:00.000000Z", "next_due": null,
                "partitions": [partition(0, 8, 2), partition(1, 3, 7)]},
            {"group": "xact-download-worker", "stage": "download", "topic": "b", "lag": 0, "worst_partition": null,
                "worst_lag": 0, "oldest_unfinished": null, "next_due": null, "partitions": [partition(0, 10, 0)]},
        ]);
        assert_eq!(serde_json::to_value(&groups).unwrap(), expected);
    }
}
