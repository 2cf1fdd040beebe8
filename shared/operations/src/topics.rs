//! The topics: creating and listing them, and how far each group is behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::blocking::blocking;
use crate::next_record::{NextRecords, is_of_events, next_offset};
use xact_config::Settings;
use xact_contracts::time;
use xact_kafka::admin::{self, AdminError, LagReader, Probed, topics};

/// Time after which no further record is read for its age.
const OLDEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The answer of [`create`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateAnswer {
    /// The topics that were missing.
    pub created: Vec<String>,
}

/// A topic of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// Its partitions; `None`: it does not exist.
    pub partitions: Option<usize>,
    /// The partitions that it is created with.
    pub expected: i32,
}

/// Creates the topics that are missing.
///
/// # Errors
/// When a broker cannot be reached or refuses, and on Event Hubs, where the deployment creates topics.
pub async fn create(settings: &Settings) -> Result<CreateAnswer, AdminError> {
    let created = topics::create(settings).await?;
    Ok(CreateAnswer { created })
}

/// Lists all topics of the pipeline.
///
/// # Errors
/// When a broker cannot be reached.
pub async fn list(settings: &Settings) -> Result<Vec<Topic>, AdminError> {
    let settings = settings.clone();
    let states = blocking(move || topics::list(&settings)).await?;
    let topics = states.into_iter().map(|state| Topic {
        topic: state.name,
        partitions: state.partitions,
        expected: state.wanted,
    });
    Ok(topics.collect())
}

/// Whether the age of the oldest unfinished records is read, which takes a request for each partition with lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldestRecord {
    /// It is not.
    Skip,
    /// It is.
    Read,
}

/// The answer of [`lag`].
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

/// Returns how far each group is behind.
///
/// # Errors
/// When a broker cannot be reached.
pub async fn lag(settings: &Settings, oldest: OldestRecord) -> Result<LagAnswer, AdminError> {
    let settings = settings.clone();
    blocking(move || {
        let missing_topics = topics::list(&settings)?
            .into_iter()
            .filter(|state| state.partitions.is_none())
            .map(|state| state.name)
            .collect();
        let lags = LagReader::new(&settings)?.read()?;
        let oldest = match oldest {
            OldestRecord::Skip => BTreeMap::new(),
            OldestRecord::Read => oldest_records(&settings, &lags)?,
        };
        let groups = by_group(lags, &oldest);
        Ok(LagAnswer { groups, missing_topics })
    })
    .await
}

/// A group and a topic.
type GroupAndTopic = (String, String);

/// Reads when the next record of each partition with lag was written, and keeps the oldest by group and topic.
fn oldest_records(
    settings: &Settings,
    lags: &[admin::PartitionLag],
) -> Result<BTreeMap<GroupAndTopic, Timestamp>, AdminError> {
    let started = Instant::now();
    let mut records = NextRecords::new(settings);
    let mut oldest: BTreeMap<GroupAndTopic, Timestamp> = BTreeMap::new();
    for lag in lags.iter().filter(|lag| lag.lag() > 0) {
        if started.elapsed() > OLDEST_TIMEOUT {
            break;
        }
        let found = records.read(is_of_events(lag.stage), &lag.topic, lag.partition, next_offset(lag))?;
        if let Probed::Record(record) = found
            && let Some(written) = record.timestamp
        {
            let entry = oldest.entry((lag.group.clone(), lag.topic.clone()));
            let oldest = entry.or_insert(written);
            *oldest = written.min(*oldest);
        }
    }
    Ok(oldest)
}

fn by_group(lags: Vec<admin::PartitionLag>, oldest: &BTreeMap<GroupAndTopic, Timestamp>) -> Vec<GroupLag> {
    let mut groups: Vec<GroupLag> = Vec::new();
    for lag in lags {
        let is_next = |group: &GroupLag| group.group == lag.group && group.topic == lag.topic;
        if !groups.last().is_some_and(is_next) {
            groups.push(GroupLag {
                oldest_unfinished: oldest.get(&(lag.group.clone(), lag.topic.clone())).copied(),
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
        let groups = by_group(lags, &BTreeMap::from([(key, written)]));
        let partition = |partition: i32, committed: i64, lag: u64| json!({"partition": partition, "committed": committed, "end": 10, "lag": lag});
        let expected = json!([
            {"group": "xact-download-worker", "stage": "download", "topic": "a", "lag": 9, "worst_partition": 1,
                "worst_lag": 7, "oldest_unfinished": "2025-01-01T00:00:00.000000Z",
                "partitions": [partition(0, 8, 2), partition(1, 3, 7)]},
            {"group": "xact-download-worker", "stage": "download", "topic": "b", "lag": 0, "worst_partition": null,
                "worst_lag": 0, "oldest_unfinished": null, "partitions": [partition(0, 10, 0)]},
        ]);
        assert_eq!(serde_json::to_value(&groups).unwrap(), expected);
    }
}
