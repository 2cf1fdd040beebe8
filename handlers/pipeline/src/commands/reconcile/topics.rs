//! What the topics hold: of which dates they tell, and all of one date.
//!
//! The order makes it right while the pipeline runs: first every group's position, then what lies behind it, then (by
//! the caller) the tables. A message moves on only with its successor acknowledged, so whatever was unfinished when the
//! last position was read is behind one of them, or in a table by the time that the tables are read.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use uuid::Uuid;

use super::day::Day;
use super::{Error, Range};
use crate::commands::dlq::Entries;
use xact_config::Settings;
use xact_contracts::ids;
use xact_contracts::messages::{CachedDownload, DownloadResult, DownloadTask, Event, Message, Status};
use xact_contracts::time;
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::admin::LagReader;
use xact_kafka::admin::TopicReader;

/// An attachment in a record.
struct Held {
    trace_id: String,
    media_id: Uuid,
    url: String,
    at: Timestamp,
}

/// Position of each stage's group, by topic and partition; where it has none, nothing is finished.
type Positions = HashMap<(Stage, String, i32), i64>;

/// What the topics tell. `seen` are attachments that the caller notes once it knows the tables' events.
#[derive(Debug, Clone, Default)]
pub(super) struct FromTopics {
    pub(super) day: Day,
    pub(super) seen: Vec<(String, Uuid, String)>,
}

impl FromTopics {
    fn new(settings: &Settings) -> Self {
        let mut from = Self::default();
        from.day.ignored = settings.ignored_url_paths.clone();
        from
    }
}

/// A record that tells of a date.
enum Found<'a> {
    Raw {
        event: &'a Event,
        is_expanded: bool,
        is_written: bool,
    },
    Held(Held, &'static str),
    /// A record on the raw topic that is not an event.
    Unreadable,
}

/// The dates of the time on which the topics hold anything, and what they tell of all others: dead letters know no date.
/// Blocks.
pub(super) fn dates(settings: &Settings, range: Range) -> Result<(BTreeSet<Date>, FromTopics), Error> {
    let mut dates = BTreeSet::new();
    visit(settings, |at, _| {
        let date = time::utc_date(at);
        if range.touches(date) {
            dates.insert(date);
        }
    })?;
    let mut others = FromTopics::new(settings);
    read_dead_letters(settings, &mut others)?;
    Ok((dates, others))
}

/// Reads all of one date. Blocks.
pub(super) fn read(settings: &Settings, date: Date, range: Range) -> Result<FromTopics, Error> {
    let mut from = FromTopics::new(settings);
    visit(settings, |at, found| {
        if time::utc_date(at) != date {
            return;
        }
        match found {
            Found::Raw {
                event,
                is_expanded,
                is_written,
            } => {
                from.day.on_raw.insert(ids::event_id(&event.trace_id));
                if range.holds(at) {
                    from.day.raw_event(event, at, is_expanded, is_written);
                }
            }
            Found::Unreadable => from.day.unreadable += u64::from(range.holds(at)),
            Found::Held(held, place) => {
                from.day.waiting.insert(held.media_id, place);
                from.seen.push((held.trace_id, held.media_id, held.url));
            }
        }
    })?;
    read_dead_letters(settings, &mut from)?;
    Ok(from)
}

/// Shows every event on the raw topic, and every attachment that a record holds which its stage has not finished.
fn visit(settings: &Settings, mut show: impl FnMut(Timestamp, Found<'_>)) -> Result<(), Error> {
    let positions: Positions = LagReader::new(settings)?
        .read()?
        .into_iter()
        .map(|lag| {
            (
                (lag.stage, lag.topic.clone(), lag.partition),
                lag.committed.unwrap_or(0),
            )
        })
        .collect();
    let position = |stage: Stage, topic: &str, partition: i32| {
        let position = positions.get(&(stage, topic.to_owned(), partition));
        position.copied().unwrap_or(0)
    };
    let raw = &settings.topics.raw;
    // An event without a timestamp that is sent again has the date of its first record.
    let mut undated = HashMap::new();
    TopicReader::open(settings.cluster_of_events(), raw)?.read(|record| {
        let Ok(event) = Event::decode(record.value.as_deref().unwrap_or_default()) else {
            if let Some(at) = record.timestamp {
                show(at, Found::Unreadable);
            }
            return ControlFlow::Continue(());
        };
        let at = event.timestamp.or_else(|| {
            let first = undated
                .entry(ids::event_id(&event.trace_id))
                .or_insert(record.timestamp);
            *first
        });
        if let Some(at) = at {
            let is_done = |stage| record.offset < position(stage, raw, record.partition);
            let found = Found::Raw {
                event: &event,
                is_expanded: is_done(Stage::EventIngester),
                is_written: is_done(Stage::EventWriter),
            };
            show(at, found);
        }
        ControlFlow::Continue(())
    })?;
    let stages = [
        (Stage::RetryScheduler, "retry"),
        (Stage::Download, "pending"),
        (Stage::Upload, "cached"),
        (Stage::ResultProcessor, "results"),
    ];
    for (stage, place) in stages {
        let role = stage.row().consumes;
        for topic in settings.topics.of(role) {
            let mut reader = TopicReader::open(settings.cluster_of(role), topic)?;
            for partition in reader.spans().keys().copied().collect::<Vec<_>>() {
                reader.begin_at(partition, position(stage, topic, partition));
            }
            reader.read(|record| {
                if let Some(held) = held(role, record.value.as_deref().unwrap_or_default()) {
                    show(held.at, Found::Held(held, place));
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(())
}

/// The attachment that a record of this role holds. A failed result holds none: there its task went on.
fn held(role: TopicRole, value: &[u8]) -> Option<Held> {
    match role {
        TopicRole::Pending | TopicRole::Retry => DownloadTask::decode(value).ok().map(|task| Held {
            trace_id: task.trace_id,
            media_id: task.media_id,
            url: task.attachment_url,
            at: task.original_timestamp,
        }),
        TopicRole::Cached => CachedDownload::decode(value).ok().map(|cached| Held {
            trace_id: cached.trace_id,
            media_id: cached.media_id,
            url: cached.attachment_url,
            at: cached.original_timestamp,
        }),
        TopicRole::Results => DownloadResult::decode(value)
            .ok()
            .filter(|result| result.status != Status::Failed)
            .map(|result| Held {
                trace_id: result.trace_id,
                media_id: result.media_id,
                url: result.attachment_url,
                at: result.original_timestamp,
            }),
        TopicRole::Raw | TopicRole::Dlq => None,
    }
}

/// Messages that could not be read and that nobody has settled yet: a task's own dead letter always has a row.
fn read_dead_letters(settings: &Settings, from: &mut FromTopics) -> Result<(), Error> {
    Entries::open(settings, &[])?.visit(|entry| {
        let Some(letter) = entry
            .letter()
            .filter(|letter| entry.mark.is_none() && letter.original_task.is_none())
        else {
            return ControlFlow::Continue(());
        };
        let bytes = entry.original_bytes().ok().flatten().unwrap_or_default();
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
            from.seen.push((text("trace_id"), media_id, text("attachment_url")));
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}
