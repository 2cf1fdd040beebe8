//! The answer: the life of one event, a list of events, or nothing; and what was searched.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::claim::claim_number;
use super::life::EventLife;
use super::query::IdKind;
use crate::onelake_cost::OneLakeCost;
use xact_contracts::messages::{DownloadTask, Event};
use xact_contracts::redaction::redact_text;
use xact_contracts::time;
use xact_kafka::admin::{Span, TopicRecord};

/// Most events in a list.
pub const MAX_MATCHES: usize = 50;

/// The answer of [`trace`](super::trace).
#[derive(Debug, Serialize)]
pub struct Trace {
    /// What was looked for, without secrets.
    pub id: String,
    /// What was found.
    pub outcome: Outcome,
    /// What the id is; `None` if nothing was found.
    pub found_as: Option<IdKind>,
    /// Whether one event was found and everything of it is done or on its way, as far as everything could be read; or
    /// whether the list is complete.
    pub in_order: bool,
    /// The event, if it is one.
    pub event: Option<Box<EventLife>>,
    /// The events, newest first, if they are several.
    pub matches: Vec<Match>,
    /// Whether there are more events than `matches` has.
    pub more_matches: bool,
    /// What was searched.
    pub searched: Searched,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    /// What to try.
    pub advice: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One event.
    Found,
    /// Several events.
    List,
    /// Nothing.
    NotFound,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Its id.
    pub trace_id: String,
    /// Its time.
    #[serde(with = "time::optional")]
    pub event_timestamp: Option<Timestamp>,
    /// Its type.
    pub event_type: Option<String>,
    /// Its assignment.
    pub assignment_id: Option<String>,
    /// Its claim.
    pub claim_number: Option<String>,
    /// The table or topic that it was found in.
    pub found_in: String,
}

impl Match {
    pub(super) fn of_raw(event: &Event, at: Option<Timestamp>, found_in: String) -> Self {
        Self {
            trace_id: event.trace_id.clone(),
            event_timestamp: at,
            event_type: Some(event.event_type.clone()),
            assignment_id: event.assignment_id.clone(),
            claim_number: claim_number(event),
            found_in,
        }
    }

    pub(super) fn of_task(task: &DownloadTask) -> Self {
        Self {
            trace_id: task.trace_id.clone(),
            event_timestamp: Some(task.original_timestamp),
            event_type: None,
            assignment_id: Some(task.assignment_id.clone()),
            claim_number: None,
            found_in: "tasks".to_owned(),
        }
    }

    /// Removes secrets; until then the event is looked up by its trace id.
    pub(super) fn redacted(self) -> Self {
        let redacted = |text: Option<String>| text.map(|text| redact_text(&text));
        Self {
            trace_id: redact_text(&self.trace_id),
            event_type: redacted(self.event_type),
            assignment_id: redacted(self.assignment_id),
            claim_number: redacted(self.claim_number),
            ..self
        }
    }
}

/// What was searched, and what that cost.
#[derive(Debug, Default, Serialize)]
pub struct Searched {
    /// What the id was taken for, in this order.
    pub kinds: Vec<IdKind>,
    /// Partitions of topics.
    pub topics: Vec<SearchedPartition>,
    /// Tables.
    pub tables: Vec<SearchedTable>,
    /// Records that were read.
    pub records: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// `None` for local tables.
    #[serde(flatten)]
    pub cost: Option<OneLakeCost>,
}

/// A partition that was read.
#[derive(Debug, Clone, Serialize)]
pub struct SearchedPartition {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The first offset that it holds.
    pub low: i64,
    /// The first offset that was read.
    pub from: i64,
    /// The offset behind the last.
    pub to: i64,
    /// Records that were read.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Records before this time were left out.
    #[serde(with = "time::optional")]
    pub since: Option<Timestamp>,
    /// Whether `from` is the first offset since that time.
    #[serde(skip)]
    pub(super) begins_at_since: bool,
    /// Time of the first record that was read.
    #[serde(with = "time::optional")]
    pub first_at: Option<Timestamp>,
    /// Whether reading stopped before the end: enough was found, too much was read, or the broker stopped answering.
    #[serde(rename = "cut")]
    pub is_cut: bool,
}

impl SearchedPartition {
    pub(super) fn new(topic: &str, partition: i32, span: Span, from: i64) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            low: span.low,
            from,
            to: span.high,
            records: 0,
            bytes: 0,
            since: None,
            begins_at_since: false,
            first_at: None,
            is_cut: false,
        }
    }

    /// Counts a record, and returns its bytes.
    pub(super) fn add(&mut self, record: &TopicRecord) -> u64 {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, |part| part.len() as u64);
        let bytes = length(&record.key) + length(&record.value);
        self.records += 1;
        self.bytes += bytes;
        if self.records == 1 {
            self.first_at = record.timestamp;
        }
        bytes
    }

    /// Returns whether some of its records were not read.
    #[must_use]
    pub fn covers_less_than_all(&self) -> bool {
        self.from > self.low || self.is_cut
    }

    /// Returns whether all of its records were read, or all since a time.
    pub(super) fn covers(&self, from: Option<Timestamp>) -> bool {
        // Of a time that is later, earlier records were left out.
        let is_since_later = |since| from.is_none_or(|from| since > from);
        if self.is_cut || self.since.is_some_and(is_since_later) {
            return false;
        }
        let has_begun = || from.zip(self.first_at).is_some_and(|(from, first)| first <= from);
        self.from <= self.low || self.begins_at_since || has_begun()
    }
}

/// A table that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchedTable {
    /// Table.
    pub table: &'static str,
    /// Its version; `None`: it does not exist.
    pub version: Option<u64>,
    /// How its rows were found.
    pub by: SearchedBy,
    /// The dates that were searched.
    pub dates: Vec<Date>,
    /// The data files of these dates.
    pub files: usize,
}

/// How rows were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SearchedBy {
    /// By key filters.
    Key,
    /// By reading columns of all rows.
    Scan,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_covers_what_was_read_of_it() {
        let at = |second| Timestamp::from_second(second).ok();
        let partition = |from, first, is_cut| SearchedPartition {
            first_at: first,
            is_cut,
            ..SearchedPartition::new("t", 0, Span { low: 10, high: 20 }, from)
        };
        let since = |second, partition| SearchedPartition {
            since: at(second),
            ..partition
        };
        let begins = |partition| SearchedPartition {
            begins_at_since: true,
            ..partition
        };
        for (searched, from, expected) in [
            (partition(10, None, false), None, true),
            (partition(10, None, true), None, false),
            (partition(15, at(50), false), None, false),
            (partition(15, at(50), false), at(50), true),
            (partition(15, at(50), false), at(49), false),
            (partition(20, None, false), at(49), false),
            (begins(since(49, partition(20, None, false))), at(49), true),
            (begins(since(50, partition(15, at(50), false))), at(49), false),
            (since(50, partition(10, at(1), false)), at(49), false),
            (since(50, partition(10, at(1), false)), None, false),
            (since(49, partition(10, at(1), false)), at(49), true),
        ] {
            assert_eq!(searched.covers(from), expected, "{searched:?} {from:?}");
        }
    }
}
