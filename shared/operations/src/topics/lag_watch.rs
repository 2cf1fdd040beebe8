//! Reads the lag again and again, over the same connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::lag::{GroupAndTopic, Head, LagAnswer, OldestRecord, by_group};
use crate::blocking::blocking;
use crate::next_record::{NextRecords, Place, is_of_events, next_offset};
use xact_config::Settings;
use xact_contracts::messages::{DownloadTask, Message};
use xact_contracts::topology::Stage;
use xact_kafka::admin::{AdminError, LagReader, PartitionLag, Probed, TopicRecord, topics};

/// After this time the topics are listed again: they may have more partitions.
const TOPICS_INTERVAL: Duration = Duration::from_secs(300);

/// Reads the lag, and keeps the connections and the records that were read.
pub struct LagWatch {
    settings: Settings,
    /// After this time no further record of a reading is read.
    records_timeout: Duration,
    connected: Option<Connected>,
    /// The next records that the last reading has asked for.
    heads: BTreeMap<Place, Head>,
    requests: usize,
}

/// The clients, and what there was when they were made.
struct Connected {
    at: Instant,
    reader: LagReader,
    records: NextRecords,
    missing_topics: Vec<String>,
}

impl Place {
    fn next_of(lag: &PartitionLag) -> Self {
        Self {
            is_of_events: is_of_events(lag.stage),
            topic: lag.topic.clone(),
            partition: lag.partition,
            offset: next_offset(lag),
        }
    }
}

impl LagWatch {
    /// Creates a watch, which connects with its first reading. After `records_timeout` no further record of a reading is read
    /// for its age.
    #[must_use]
    pub fn new(settings: &Settings, records_timeout: Duration) -> Self {
        Self {
            settings: settings.clone(),
            records_timeout,
            connected: None,
            heads: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Returns how far each group is behind, and the watch again.
    pub async fn read(mut self, oldest: OldestRecord) -> (Self, Result<LagAnswer, AdminError>) {
        blocking(move || {
            let answer = self.read_now(oldest);
            if answer.is_err() {
                self.connected = None;
            }
            (self, answer)
        })
        .await
    }

    /// Returns the requests that the last reading made of a cluster with one broker, without those of connecting.
    #[must_use]
    pub const fn requests(&self) -> usize {
        self.requests
    }

    fn read_now(&mut self, oldest: OldestRecord) -> Result<LagAnswer, AdminError> {
        let is_usable =
            |connected: &Connected| connected.missing_topics.is_empty() && connected.at.elapsed() < TOPICS_INTERVAL;
        let mut connected = match self.connected.take().filter(is_usable) {
            Some(connected) => connected,
            None => Connected::to(&self.settings)?,
        };
        let lags = connected.reader.read()?;
        self.requests = connected.reader.requests();
        let heads = match oldest {
            OldestRecord::Skip => BTreeMap::new(),
            OldestRecord::Read => self.heads(&mut connected.records, &lags)?,
        };
        let missing_topics = connected.missing_topics.clone();
        self.connected = Some(connected);
        let groups = by_group(lags, &heads);
        Ok(LagAnswer { groups, missing_topics })
    }

    /// Reads the next record of each partition with lag, unless it is still the same, and adds them up by group and topic.
    fn heads(
        &mut self,
        records: &mut NextRecords,
        lags: &[PartitionLag],
    ) -> Result<BTreeMap<GroupAndTopic, Head>, AdminError> {
        let started = Instant::now();
        let behind = || lags.iter().filter(|lag| lag.lag() > 0);
        let places: BTreeSet<Place> = behind().map(Place::next_of).collect();
        self.heads.retain(|place, _| places.contains(place));
        let mut heads: BTreeMap<GroupAndTopic, Head> = BTreeMap::new();
        for lag in behind() {
            let place = Place::next_of(lag);
            let head = match self.heads.get(&place) {
                Some(head) => *head,
                None if started.elapsed() > self.records_timeout => continue,
                None => {
                    self.requests += 1;
                    let found = records.read(place.is_of_events, &place.topic, place.partition, place.offset)?;
                    let read = match &found {
                        Probed::Record(record) => head(lag.stage, record),
                        Probed::End | Probed::Unreadable(_) => Head::default(),
                    };
                    *self.heads.entry(place).or_insert(read)
                }
            };
            heads
                .entry((lag.group.clone(), lag.topic.clone()))
                .or_default()
                .add(head);
        }
        Ok(heads)
    }
}

impl Connected {
    fn to(settings: &Settings) -> Result<Self, AdminError> {
        let states = topics::list(settings)?.into_iter();
        let missing = states
            .filter(|state| state.partitions.is_none())
            .map(|state| state.name);
        Ok(Self {
            at: Instant::now(),
            missing_topics: missing.collect(),
            reader: LagReader::new(settings)?,
            records: NextRecords::new(settings),
        })
    }
}

/// Returns what a record says to the stage that reads it next. A task without a valid due time is due at once.
fn head(stage: Stage, record: &TopicRecord) -> Head {
    let due = || {
        let task = DownloadTask::decode(record.value.as_deref()?).ok()?;
        task.retry_at()
    };
    Head {
        written: record.timestamp,
        due: (stage == Stage::RetryScheduler)
            .then(|| due().or(record.timestamp))
            .flatten(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn record(retry_at: &serde_json::Value) -> TopicRecord {
        let task = json!({"trace_id": "t", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68",
            "attachment_url": "https://a/b.pdf", "blob_path": "p", "status_subtype": "s", "file_type": "PDF",
            "assignment_id": "a", "original_timestamp": "2024-12-31T12:00:00Z", "metadata": {"retry_at": retry_at}});
        TopicRecord {
            partition: 0,
            offset: 7,
            timestamp: at(1_000),
            key: None,
            value: Some(task.to_string().into_bytes()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn only_a_record_of_a_retry_topic_is_due() {
        let of = |stage, due, retry_at: &serde_json::Value| {
            let written = at(1_000);
            assert_eq!(head(stage, &record(retry_at)), Head { written, due });
        };
        of(Stage::RetryScheduler, at(1_300), &json!("1970-01-01T00:21:40Z"));
        of(Stage::RetryScheduler, at(1_000), &json!("soon"));
        of(Stage::Download, None, &json!("1970-01-01T00:21:40Z"));
        let foreign = TopicRecord {
            value: Some(b"<no task>".to_vec()),
            ..record(&json!(null))
        };
        assert_eq!(head(Stage::RetryScheduler, &foreign).due, at(1_000));
    }

    #[test]
    fn the_first_of_several_partitions_counts() {
        let mut sum = Head::default();
        for (written, due) in [(at(5), None), (None, at(9)), (at(3), at(12))] {
            sum.add(Head { written, due });
        }
        assert_eq!((sum.written, sum.due), (at(3), at(9)));
    }
}
