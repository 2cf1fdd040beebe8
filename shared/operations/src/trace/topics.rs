//! Reads what the topics hold of an event, within limits.
//!
//! All messages of an event have its trace id as their key, so one partition of each topic is read. The raw topic is written by
//! others, whose clients may choose partitions otherwise: if the event is not in its partition, the others are read too. Of a partition that holds
//! more records than the limit, only the newest are read, or, once the record of the event is known, those since it was
//! written. A topic that cannot be read is noted, and the others are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};

use super::answer::SearchedPartition;
use super::record::{Content, FoundRecord, Positions};
use crate::dead_letters::FoundEntries;
use xact_config::Settings;
use xact_contracts::messages::{DownloadTask, Event, Message};
use xact_contracts::partitioner::partition_of;
use xact_contracts::topology::TopicRole;
use xact_kafka::admin::{AdminError, GroupOffsets, LagReader, Span, TopicReader, TopicRecord};

/// librdkafka requires a group; the client never joins it.
const GROUP: &str = "xact-pipeline-reader";
/// Most bytes that are read of one topic at once; the answer says where reading stopped.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Clocks of producers differ: records are read from this long before the record of the event.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// The topics after the raw topic, in the order of the stages.
const INTERNAL: [TopicRole; 5] = [
    TopicRole::Pending,
    TopicRole::Retry,
    TopicRole::Cached,
    TopicRole::Results,
    TopicRole::Dlq,
];

/// Which partitions of a topic are read.
#[derive(Debug, Clone, Copy)]
enum Partitions<'a> {
    /// That of a key.
    Of(&'a str),
    /// All but that of a key.
    Without(&'a str),
    All,
}

/// Reads the topics. All calls block.
pub(super) struct TopicSearch {
    settings: Settings,
    now: Timestamp,
    since: Option<Timestamp>,
    max_records: u64,
    positions: Option<Positions>,
    /// Clusters that do not answer, by their bootstrap servers.
    down: BTreeSet<String>,
    pub(super) searched: Vec<SearchedPartition>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

/// What came of reading a topic.
struct Reading {
    searched: Vec<SearchedPartition>,
    result: Result<(), AdminError>,
}

impl TopicSearch {
    pub(super) fn new(settings: &Settings, since: Option<Timestamp>, max_records: u64, now: Timestamp) -> Self {
        Self {
            settings: settings.clone(),
            now,
            since,
            max_records,
            positions: None,
            down: BTreeSet::new(),
            searched: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Reads the positions of the groups. They are read before the records, and those before the tables: whatever a stage has
    /// finished is then either in a record that is read later or in a table.
    pub(super) fn read_positions(&mut self) {
        match LagReader::new(&self.settings).and_then(|reader| reader.read()) {
            Ok(lags) => self.positions = Some(Positions::new(lags)),
            Err(error) => {
                // With two clusters, the other one may answer.
                if self.settings.events_cluster.is_none() {
                    self.down
                        .insert(self.settings.internal_cluster.bootstrap_servers.clone());
                }
                self.unread.push(format!("topics and positions of the groups: {error}"));
            }
        }
    }

    pub(super) fn positions(&self) -> Option<&Positions> {
        self.positions.as_ref()
    }

    /// Returns the records of an event on the raw topic: in the partition of its trace id.
    pub(super) fn raw(&mut self, trace_id: &str) -> Vec<FoundRecord> {
        self.raw_in(trace_id, Partitions::Of(trace_id))
    }

    /// Returns those in the other partitions: a source may use another key, or another partitioner.
    pub(super) fn raw_elsewhere(&mut self, trace_id: &str) -> Vec<FoundRecord> {
        self.raw_in(trace_id, Partitions::Without(trace_id))
    }

    fn raw_in(&mut self, trace_id: &str, partitions: Partitions<'_>) -> Vec<FoundRecord> {
        let topic = self.settings.topics.raw.clone();
        let mut found = Vec::new();
        self.read(TopicRole::Raw, &topic, partitions, None, |record| {
            let value = record.value.as_deref().unwrap_or_default();
            if !may_name(record.key.as_deref(), value, trace_id) {
                return ControlFlow::Continue(());
            }
            if let Some(content) = Content::decode(TopicRole::Raw, value).filter(|it| it.trace_id() == Some(trace_id)) {
                found.push(FoundRecord::new(&topic, &record, content));
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// Returns the records of an event on all other topics, which are read at the same time: most of a reading is waiting for
    /// the broker. `since`: when the event was received, if it is known.
    pub(super) fn internal(&mut self, trace_id: &str, since: Option<Timestamp>) -> Vec<FoundRecord> {
        let settings = self.settings.clone();
        let topics = INTERNAL
            .into_iter()
            .flat_map(|role| settings.topics.of(role).into_iter().map(move |topic| (role, topic)));
        let topics: Vec<_> = topics.filter(|(role, _)| !self.is_down(*role)).collect();
        let readings = std::thread::scope(|scope| {
            let this = &*self;
            let read = |(role, topic)| scope.spawn(move || this.internal_of(role, topic, trace_id, since));
            let reading: Vec<_> = topics.iter().copied().map(read).collect();
            let joined = reading
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect::<Vec<_>>()
        });
        let mut found = Vec::new();
        for ((role, topic), (records, reading)) in topics.into_iter().zip(readings) {
            found.extend(records);
            self.note(role, topic, reading);
        }
        found
    }

    fn internal_of(
        &self,
        role: TopicRole,
        topic: &str,
        trace_id: &str,
        since: Option<Timestamp>,
    ) -> (Vec<FoundRecord>, Reading) {
        let (mut found, mut entries) = (Vec::new(), FoundEntries::default());
        let reading = self.read_topic(role, topic, Partitions::Of(trace_id), since, |record| {
            if role == TopicRole::Dlq {
                entries.add(record, |entry| entry.trace_id() == Some(trace_id));
            } else if record.key_text() == Some(trace_id) {
                let content = Content::decode(role, record.value.as_deref().unwrap_or_default());
                let content = content.filter(|content| content.trace_id() == Some(trace_id));
                found.extend(content.map(|content| FoundRecord::new(topic, &record, content)));
            }
            ControlFlow::Continue(())
        });
        let entries = entries.finish(&self.settings, self.now).into_iter();
        found.extend(entries.map(|entry| FoundRecord::of_entry(topic, entry)));
        (found, reading)
    }

    /// Calls `visit` with every event on the raw topic, and its time, until it breaks.
    pub(super) fn events(&mut self, mut visit: impl FnMut(&Event, Option<Timestamp>) -> ControlFlow<()>) {
        let topic = self.settings.topics.raw.clone();
        self.read(
            TopicRole::Raw,
            &topic,
            Partitions::All,
            None,
            |record| match Event::decode(record.value.as_deref().unwrap_or_default()) {
                Ok(event) => visit(&event, event.timestamp.or(record.timestamp)),
                Err(_) => ControlFlow::Continue(()),
            },
        );
    }

    /// Calls `visit` with every task on the pending topic, until it breaks.
    pub(super) fn tasks(&mut self, mut visit: impl FnMut(&DownloadTask) -> ControlFlow<()>) {
        let topic = self.settings.topics.pending.clone();
        self.read(
            TopicRole::Pending,
            &topic,
            Partitions::All,
            None,
            |record| match DownloadTask::decode(record.value.as_deref().unwrap_or_default()) {
                Ok(task) => visit(&task),
                Err(_) => ControlFlow::Continue(()),
            },
        );
    }

    /// Returns whether all topics were read, of each partition the records since `from`, or all of them.
    pub(super) fn is_complete(&self, from: Option<Timestamp>) -> bool {
        let from = from.map(before);
        self.unread.is_empty() && self.searched.iter().all(|partition| partition.covers(from))
    }

    fn read(
        &mut self,
        role: TopicRole,
        topic: &str,
        partitions: Partitions<'_>,
        since: Option<Timestamp>,
        visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) {
        if !self.is_down(role) {
            let reading = self.read_topic(role, topic, partitions, since, visit);
            self.note(role, topic, reading);
        }
    }

    fn is_down(&self, role: TopicRole) -> bool {
        self.down.contains(&self.settings.cluster_of(role).bootstrap_servers)
    }

    /// Notes what was searched, and the first error of each cluster.
    fn note(&mut self, role: TopicRole, topic: &str, reading: Reading) {
        self.searched.extend(reading.searched);
        let Err(error) = reading.result else { return };
        let is_missing = matches!(error, AdminError::MissingTopic { .. });
        let bootstrap = &self.settings.cluster_of(role).bootstrap_servers;
        if is_missing || self.down.insert(bootstrap.clone()) {
            self.unread.push(format!("topic {topic}: {error}"));
        }
    }

    fn read_topic(
        &self,
        role: TopicRole,
        topic: &str,
        partitions: Partitions<'_>,
        since: Option<Timestamp>,
        visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Reading {
        let mut searched = BTreeMap::new();
        let since = self.since.max(since.map(before));
        let result = self.try_read(role, topic, partitions, since, visit, &mut searched);
        for partition in searched.values_mut() {
            partition.is_cut |= result.is_err();
        }
        Reading {
            searched: searched.into_values().collect(),
            result,
        }
    }

    fn try_read(
        &self,
        role: TopicRole,
        topic: &str,
        partitions: Partitions<'_>,
        since: Option<Timestamp>,
        mut visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
        read: &mut BTreeMap<i32, SearchedPartition>,
    ) -> Result<(), AdminError> {
        let cluster = self.settings.cluster_of(role);
        let mut reader = TopicReader::open(cluster, topic)?;
        let spans = reader.spans().clone();
        for (partition, span) in &spans {
            let is_chosen = match partitions {
                Partitions::All => true,
                Partitions::Of(key) => partition_of(key.as_bytes(), spans.len()) == Some(*partition),
                Partitions::Without(key) => partition_of(key.as_bytes(), spans.len()) != Some(*partition),
            };
            if !is_chosen {
                reader.begin_at(*partition, span.high);
                continue;
            }
            let (from, begins_at_since) = first_offset(*span, self.max_records, || {
                let Some(since) = since else {
                    return Ok(None);
                };
                let offsets = GroupOffsets::new(cluster, GROUP)?;
                let found = offsets.at_time(&[(topic.to_owned(), *partition)], since)?;
                // Nothing was written since.
                Ok(Some(found.first().copied().flatten().unwrap_or(span.high)))
            })?;
            reader.begin_at(*partition, from);
            let searched = SearchedPartition {
                since,
                begins_at_since,
                ..SearchedPartition::new(topic, *partition, *span, from)
            };
            read.insert(*partition, searched);
        }
        let (mut bytes, mut is_cut) = (0, false);
        let result = reader.read(|record| {
            bytes += read
                .get_mut(&record.partition)
                .map_or(0, |searched| searched.add(&record));
            if bytes > MAX_BYTES {
                is_cut = true;
                return ControlFlow::Break(());
            }
            if record.timestamp.zip(since).is_some_and(|(at, since)| at < since) {
                return ControlFlow::Continue(());
            }
            let flow = visit(record);
            is_cut |= flow.is_break();
            flow
        });
        for searched in read.values_mut() {
            searched.is_cut = is_cut;
        }
        result
    }
}

fn before(at: Timestamp) -> Timestamp {
    at.checked_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN)
}

/// Returns the first offset to read, and whether it is that of the time: the first offset of a partition that has no more
/// records than the limit, else that of the time, if it is known, or of the newest records.
fn first_offset(
    span: Span,
    max_records: u64,
    at_time: impl FnOnce() -> Result<Option<i64>, AdminError>,
) -> Result<(i64, bool), AdminError> {
    let limit = i64::try_from(max_records).unwrap_or(i64::MAX);
    let newest = span.high.saturating_sub(limit).max(span.low);
    if newest == span.low {
        return Ok((span.low, false));
    }
    Ok(match at_time()? {
        Some(since) if since >= newest => (since.min(span.high), true),
        _ => (newest, false),
    })
}

/// Returns whether a record may be of an event, without decoding it. JSON may write any character as an escape.
fn may_name(key: Option<&[u8]>, value: &[u8], trace_id: &str) -> bool {
    if key == Some(trace_id.as_bytes()) {
        return true;
    }
    std::str::from_utf8(value).map_or(true, |text| text.contains(trace_id) || text.contains('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partition_that_is_too_large_is_read_in_part() {
        let span = Span { low: 100, high: 200 };
        let from = |max, at| first_offset(span, max, || Ok(at)).unwrap();
        for (max, at_time, expected) in [
            (1000, Some(150), (100, false)),
            (100, None, (100, false)),
            (10, None, (190, false)),
            (50, Some(120), (150, false)),
            (50, Some(180), (180, true)),
            (50, Some(900), (200, true)),
            (1, None, (199, false)),
        ] {
            assert_eq!(from(max, at_time), expected, "{max} {at_time:?}");
        }
    }

    #[test]
    fn a_record_is_decoded_if_it_may_name_the_event() {
        for (key, value, expected) in [
            ("t-1", "garbage", true),
            ("other", r#"{"trace_id":"t-1"}"#, true),
            ("other", r#"{"trace_id":"t\u002d1"}"#, true),
            ("other", r#"{"trace_id":"t-2"}"#, false),
        ] {
            assert_eq!(
                may_name(Some(key.as_bytes()), value.as_bytes(), "t-1"),
                expected,
                "{value}"
            );
        }
    }
}
