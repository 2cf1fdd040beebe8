//! What the topics hold of one date: the events that were sent, and the records that stages have not finished.
//!
//! The order makes the result correct while the pipeline runs: first the offsets of all groups are read, then the records
//! behind them, then (by the caller) the tables. A stage commits a message only after its successor is acknowledged, so whatever was
//! unfinished when the last offset was read is either behind one of the offsets or in a table when the tables are read.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use uuid::Uuid;

use super::day::Day;
use super::expected::Finished;
use super::range::TimeRange;
use crate::dead_letters::DeadLetterTopic;
use crate::error::OperationError;
use xact_config::Settings;
use xact_contracts::ids;
use xact_contracts::messages::{CachedDownload, DeadLetter, DownloadResult, DownloadTask, Event, Message, Status};
use xact_contracts::time;
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::admin::{LagReader, TopicReader};

/// The stages whose topics hold attachments, with the name of the topic's role in the answer.
const ATTACHMENT_STAGES: [(Stage, &str); 4] = [
    (Stage::RetryScheduler, "retry"),
    (Stage::Download, "pending"),
    (Stage::Upload, "cached"),
    (Stage::ResultProcessor, "results"),
];

/// What the topics hold. The caller adds `unfinished` to the day after the rows of the events.
#[derive(Debug, Clone, Default)]
pub(super) struct FromTopics {
    pub(super) day: Day,
    pub(super) unfinished: Vec<UnfinishedAttachment>,
}

/// An attachment in a record that its stage has not finished.
#[derive(Debug, Clone)]
pub(super) struct UnfinishedAttachment {
    pub(super) trace_id: String,
    pub(super) media_id: Uuid,
    pub(super) url: String,
}

impl FromTopics {
    fn new(settings: &Settings) -> Self {
        let mut from = Self::default();
        from.day.ignored_urls = settings.ignored_url_paths.clone();
        from
    }
}

/// A record that belongs to a date.
enum DatedRecord<'a> {
    /// An event on the raw topic.
    Event(&'a Event, Finished),
    /// A record on the raw topic that is not an event.
    Unreadable,
    /// An unfinished attachment, and the role of its topic.
    Attachment(UnfinishedAttachment, &'static str),
}

/// Returns the dates of the range of which the topics hold records, and the dead letters, which belong to no date. Blocks.
pub(super) fn dates(settings: &Settings, range: TimeRange) -> Result<(BTreeSet<Date>, FromTopics), OperationError> {
    let mut dates = BTreeSet::new();
    visit(settings, |at, _| {
        let date = time::utc_date(at);
        if range.touches(date) {
            dates.insert(date);
        }
    })?;
    let mut dead_letters = FromTopics::new(settings);
    read_dead_letters(settings, &mut dead_letters)?;
    Ok((dates, dead_letters))
}

/// Reads everything of one date. Blocks.
pub(super) fn read(settings: &Settings, date: Date, range: TimeRange) -> Result<FromTopics, OperationError> {
    let mut from = FromTopics::new(settings);
    visit(settings, |at, record| {
        if time::utc_date(at) != date {
            return;
        }
        match record {
            DatedRecord::Event(event, finished) => {
                from.day.on_raw.insert(ids::event_id(&event.trace_id));
                if range.contains(at) {
                    from.day.add_raw_event(event, at, finished);
                }
            }
            DatedRecord::Unreadable => from.day.unreadable += u64::from(range.contains(at)),
            DatedRecord::Attachment(attachment, role) => {
                from.day.waiting.insert(attachment.media_id, role);
                from.unfinished.push(attachment);
            }
        }
    })?;
    read_dead_letters(settings, &mut from)?;
    Ok(from)
}

/// Visits every record of the raw topic, and every attachment in a record that its stage has not finished.
fn visit(settings: &Settings, mut visit: impl FnMut(Timestamp, DatedRecord<'_>)) -> Result<(), OperationError> {
    let committed = Committed::read(settings)?;
    visit_raw(settings, &committed, &mut visit)?;
    for (stage, name) in ATTACHMENT_STAGES {
        let role = stage.row().consumes;
        for topic in settings.topics.of(role) {
            let mut reader = TopicReader::open(settings.cluster_of(role), topic)?;
            for partition in reader.spans().keys().copied().collect::<Vec<_>>() {
                reader.begin_at(partition, committed.offset(stage, topic, partition));
            }
            reader.read(|record| {
                if let Some((at, attachment)) = attachment(role, record.value.as_deref().unwrap_or_default()) {
                    visit(at, DatedRecord::Attachment(attachment, name));
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(())
}

fn visit_raw(
    settings: &Settings,
    committed: &Committed,
    visit: &mut impl FnMut(Timestamp, DatedRecord<'_>),
) -> Result<(), OperationError> {
    let raw = &settings.topics.raw;
    // An event without a timestamp that is sent again has the date of its first record.
    let mut first_records: HashMap<Uuid, Option<Timestamp>> = HashMap::new();
    TopicReader::open(settings.cluster_of_events(), raw)?.read(|record| {
        let Ok(event) = Event::decode(record.value.as_deref().unwrap_or_default()) else {
            if let Some(at) = record.timestamp {
                visit(at, DatedRecord::Unreadable);
            }
            return ControlFlow::Continue(());
        };
        let at = event.timestamp.or_else(|| {
            let first = first_records.entry(ids::event_id(&event.trace_id));
            *first.or_insert(record.timestamp)
        });
        if let Some(at) = at {
            let is_finished = |stage| record.offset < committed.offset(stage, raw, record.partition);
            let finished = Finished {
                is_expanded: is_finished(Stage::EventIngester),
                is_written: is_finished(Stage::EventWriter),
            };
            visit(at, DatedRecord::Event(&event, finished));
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// The committed offset of each stage's group, by topic and partition.
struct Committed(HashMap<(Stage, String, i32), i64>);

impl Committed {
    fn read(settings: &Settings) -> Result<Self, OperationError> {
        let lags = LagReader::new(settings)?.read()?.into_iter();
        let offsets = lags.map(|lag| {
            let offset = lag.committed.unwrap_or(0);
            ((lag.stage, lag.topic, lag.partition), offset)
        });
        Ok(Self(offsets.collect()))
    }

    /// Returns 0 where there is none: nothing is finished.
    fn offset(&self, stage: Stage, topic: &str, partition: i32) -> i64 {
        let offset = self.0.get(&(stage, topic.to_owned(), partition));
        offset.copied().unwrap_or(0)
    }
}

/// Returns the attachment in a record of this role. A failed result has none: its stage has sent the task elsewhere.
fn attachment(role: TopicRole, value: &[u8]) -> Option<(Timestamp, UnfinishedAttachment)> {
    let (at, trace_id, media_id, url) = match role {
        TopicRole::Pending | TopicRole::Retry => {
            let it = DownloadTask::decode(value).ok()?;
            (it.original_timestamp, it.trace_id, it.media_id, it.attachment_url)
        }
        TopicRole::Cached => {
            let it = CachedDownload::decode(value).ok()?;
            (it.original_timestamp, it.trace_id, it.media_id, it.attachment_url)
        }
        TopicRole::Results => {
            let it = DownloadResult::decode(value).ok()?;
            let it = Some(it).filter(|result| result.status != Status::Failed)?;
            (it.original_timestamp, it.trace_id, it.media_id, it.attachment_url)
        }
        TopicRole::Raw | TopicRole::Dlq => return None,
    };
    let attachment = UnfinishedAttachment {
        trace_id,
        media_id,
        url,
    };
    Some((at, attachment))
}

/// Adds unreadable messages whose dead letter waits. A dead letter of a task is not needed: the task has a failed row.
fn read_dead_letters(settings: &Settings, from: &mut FromTopics) -> Result<(), OperationError> {
    DeadLetterTopic::open(settings)?.visit(|entry| {
        let is_needed = |letter: &&DeadLetter| entry.mark.is_none() && letter.original_task.is_none();
        let Some(letter) = entry.letter().filter(is_needed) else {
            return ControlFlow::Continue(());
        };
        let bytes = letter.original_bytes().ok().flatten().unwrap_or_default();
        if letter.source.topic == settings.topics.raw {
            let event = Event::decode(&bytes).ok().map(|event| event.trace_id);
            if let Some(trace_id) = event.or_else(|| letter.trace_id.clone()) {
                from.day.dead_events.insert(ids::event_id(&trace_id));
            }
        } else if let Ok(value) = serde_json::from_slice::<Value>(&bytes)
            && let Some(media_id) = value["media_id"].as_str().and_then(|id| id.parse().ok())
        {
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            from.day.waiting.insert(media_id, "dlq");
            from.unfinished.push(UnfinishedAttachment {
                trace_id: text("trace_id"),
                media_id,
                url: text("attachment_url"),
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}
