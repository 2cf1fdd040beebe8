//! The records of an event, decoded, and the positions of the groups that read them.

use std::collections::HashMap;

use uuid::Uuid;

use crate::dead_letters::FoundEntry;
use xact_contracts::messages::{CachedDownload, DownloadResult, DownloadTask, Event, Message, SourceRecord};
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::admin::{PartitionLag, TopicRecord};
use xact_telemetry::trace_context::TraceContext;

/// A record of the event.
#[derive(Debug, Clone)]
pub(super) struct FoundRecord {
    pub(super) source: SourceRecord,
    pub(super) content: Content,
    /// The W3C trace id.
    pub(super) trace: Option<u128>,
}

/// What a record holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Event(Box<Event>),
    Task(Box<DownloadTask>),
    Retry(Box<DownloadTask>),
    Cached(Box<CachedDownload>),
    Result(Box<DownloadResult>),
    DeadLetter(Box<FoundEntry>),
}

impl Content {
    /// Decodes the value of a record; `None` for one that cannot be decoded, and for dead letters, which need their marks.
    pub(super) fn decode(role: TopicRole, value: &[u8]) -> Option<Self> {
        fn read<M: Message>(value: &[u8]) -> Option<Box<M>> {
            M::decode(value).ok().map(Box::new)
        }
        match role {
            TopicRole::Raw => read(value).map(Self::Event),
            TopicRole::Pending => read(value).map(Self::Task),
            TopicRole::Retry => read(value).map(Self::Retry),
            TopicRole::Cached => read(value).map(Self::Cached),
            TopicRole::Results => read(value).map(Self::Result),
            TopicRole::Dlq => None,
        }
    }

    pub(super) fn trace_id(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(&event.trace_id),
            Self::Task(task) | Self::Retry(task) => Some(&task.trace_id),
            Self::Cached(cached) => Some(&cached.trace_id),
            Self::Result(result) => Some(&result.trace_id),
            Self::DeadLetter(entry) => entry.summary.trace_id.as_deref(),
        }
    }

    /// Returns the attachment that the record is about.
    pub(super) fn media_id(&self) -> Option<Uuid> {
        match self {
            Self::Event(_) => None,
            Self::Task(task) | Self::Retry(task) => Some(task.media_id),
            Self::Cached(cached) => Some(cached.media_id),
            Self::Result(result) => Some(result.media_id),
            Self::DeadLetter(entry) => entry.summary.media_id,
        }
    }
}

impl FoundRecord {
    pub(super) fn new(topic: &str, record: &TopicRecord, content: Content) -> Self {
        let traceparent = match &content {
            Content::DeadLetter(entry) => entry.traceparent.as_deref(),
            _ => record.header("traceparent"),
        };
        Self {
            source: SourceRecord {
                topic: topic.to_owned(),
                partition: record.partition,
                offset: record.offset,
                timestamp: record.timestamp,
            },
            trace: trace(traceparent),
            content,
        }
    }

    pub(super) fn of_entry(topic: &str, entry: FoundEntry) -> Self {
        Self {
            source: SourceRecord {
                topic: topic.to_owned(),
                partition: entry.summary.id.partition,
                offset: entry.summary.id.offset,
                timestamp: entry.written,
            },
            trace: trace(entry.traceparent.as_deref()),
            content: Content::DeadLetter(Box::new(entry)),
        }
    }
}

fn trace(traceparent: Option<&str>) -> Option<u128> {
    let (id, _, _) = TraceContext::parse(traceparent?, None)?.ids();
    Some(id)
}

/// Where the groups are.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions(HashMap<(Stage, String, i32), Position>);

/// Where a group is in a partition.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) group: String,
    /// The offset that it reads next.
    pub(super) next: i64,
}

impl Positions {
    pub(super) fn new(lags: Vec<PartitionLag>) -> Self {
        let positions = lags.into_iter().map(|lag| {
            let next = lag.committed.unwrap_or(lag.start);
            let position = Position { group: lag.group, next };
            ((lag.stage, lag.topic, lag.partition), position)
        });
        Self(positions.collect())
    }

    #[cfg(test)]
    pub(super) fn add(&mut self, stage: Stage, topic: &str, partition: i32, next: i64) {
        let group = format!("xact-{}", stage.row().group);
        self.0
            .insert((stage, topic.to_owned(), partition), Position { group, next });
    }

    pub(super) fn of(&self, stage: Stage, record: &SourceRecord) -> Option<&Position> {
        self.0.get(&(stage, record.topic.clone(), record.partition))
    }

    /// Returns whether a stage has finished a record. Of a group without a position it has not.
    pub(super) fn is_finished(&self, stage: Stage, record: &SourceRecord) -> bool {
        self.of(stage, record)
            .is_some_and(|position| record.offset < position.next)
    }
}
