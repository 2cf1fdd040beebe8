//! An entry of the dead-letter topic, its id, and the mark that settles it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, DeadLetterRecord};
use xact_contracts::redaction::redact_text;
use xact_contracts::time;
use xact_kafka::admin::{Tombstone, TopicRecord};
use xact_kafka::trace_of_headers;
use xact_telemetry::trace_context::TraceContext;

/// Header of a mark: the settlement.
const ACTION: &str = "dlq_action";
/// Header of a mark: the time of the settlement.
const AT: &str = "dlq_at";
/// Header of a mark: who settled the entry.
const BY: &str = "dlq_by";
/// Most characters of a name in a mark.
const MAX_NAME_CHARS: usize = 100;

/// An entry with its content, its metadata and its mark.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its identity.
    pub id: EntryId,
    /// The timestamp of the record.
    pub written: Option<Timestamp>,
    /// The key of the record, where it is text.
    pub key: Option<String>,
    /// The headers of the record.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// A dead letter or a foreign record.
    pub content: DeadLetterRecord,
    /// `None`: the entry waits to be settled.
    pub mark: Option<Mark>,
}

impl Entry {
    /// Returns the entry in a record; `None` for a tombstone.
    pub(super) fn of_record(record: TopicRecord, mark: Option<Mark>) -> Option<Self> {
        let (id, key) = (EntryId::of(&record), record.key_text().map(str::to_owned));
        let content = match DeadLetterRecord::of_value(record.value) {
            DeadLetterRecord::Tombstone => return None,
            content => content,
        };
        Some(Self {
            id,
            written: record.timestamp,
            key,
            headers: record.headers,
            content,
            mark,
        })
    }

    /// Returns the dead letter; `None` for a foreign record.
    #[must_use]
    pub fn letter(&self) -> Option<&DeadLetter> {
        self.content.letter()
    }

    /// Returns when the stage gave up; for a foreign record, when it was written.
    #[must_use]
    pub fn failed_at(&self) -> Option<Timestamp> {
        self.letter().map(|letter| letter.failed_at).or(self.written)
    }

    /// Returns the trace id of the dead letter, else the key of the record, which is the trace id of the message.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        let letter = self.letter().and_then(|letter| letter.trace_id.as_deref());
        letter.or(self.key.as_deref())
    }

    /// Returns the id of the attachment, if the dead letter concerns one.
    #[must_use]
    pub fn media_id(&self) -> Option<Uuid> {
        self.letter()?.media_id
    }

    /// Returns the trace of its headers; without valid ones, a new one.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        trace_of_headers(|name| {
            let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
            std::str::from_utf8(value.as_deref()?).ok()
        })
        .unwrap_or_default()
    }

    /// Returns the error category.
    #[must_use]
    pub fn category(&self) -> Option<Category> {
        Some(self.letter()?.error_category)
    }
}

/// Partition and offset of an entry in the dead-letter topic, written `PARTITION:OFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntryId {
    /// The partition of the dead-letter topic.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl EntryId {
    pub(super) fn of(record: &TopicRecord) -> Self {
        let (partition, offset) = (record.partition, record.offset);
        Self { partition, offset }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for EntryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self {
                partition: partition.parse().ok().filter(|partition| *partition >= 0)?,
                offset: offset.parse().ok().filter(|offset| *offset >= 0)?,
            })
        });
        id.ok_or_else(|| {
            format!("{text:?} is not an entry: give PARTITION:OFFSET as `dlq list` prints it, such as 0:17")
        })
    }
}

/// How an entry is settled. The name stands in headers, answers and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Settlement {
    /// Marked as dealt with; nothing is sent.
    Resolved,
    /// The message of the entry is sent again, then the entry is marked.
    Replayed,
}

/// The settlement of one entry, with its time and who made it: a tombstone with the entry's id as its key and the others in
/// headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The settlement.
    pub settlement: Settlement,
    /// The time in the header, else that of the record.
    pub at: Option<Timestamp>,
    /// Who settled the entry, as far as it is known.
    pub by: Option<String>,
}

impl Mark {
    /// Returns the entry that a record settles, and its mark; `None` for any other record.
    pub(super) fn of_record(record: &TopicRecord) -> Option<(EntryId, Self)> {
        if !record.is_tombstone() {
            return None;
        }
        let settlement = record.header(ACTION)?.parse().ok()?;
        let id: EntryId = record.key_text()?.parse().ok()?;
        // Any client can write any key. A mark counts only after its entry, in the same partition.
        if id.partition != record.partition || id.offset >= record.offset {
            return None;
        }
        let at = record.header(AT).and_then(time::parse_text).or(record.timestamp);
        let by = record.header(BY).filter(|by| !by.is_empty()).map(name);
        Some((id, Self { settlement, at, by }))
    }

    /// Returns the record that settles an entry and continues its trace.
    pub(super) fn tombstone(
        id: EntryId,
        settlement: Settlement,
        by: &str,
        now: Timestamp,
        trace: &TraceContext,
    ) -> Tombstone {
        let headers = vec![
            (ACTION, settlement.to_string()),
            (AT, time::format(now)),
            (BY, name(by)),
        ];
        Tombstone {
            partition: id.partition,
            key: id.to_string(),
            headers,
            trace: trace.clone(),
        }
    }
}

fn name(by: &str) -> String {
    redact_text(by).chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record at 1:9 of the topic with these headers.
    fn mark(key: &str, headers: &[(&str, String)]) -> TopicRecord {
        let header = |(name, value): &(&str, String)| ((*name).to_owned(), Some(value.clone().into_bytes()));
        TopicRecord {
            partition: 1,
            offset: 9,
            timestamp: None,
            key: Some(key.as_bytes().to_vec()),
            value: None,
            headers: headers.iter().map(header).collect(),
        }
    }

    #[test]
    fn an_id_is_parsed_as_it_is_displayed() {
        let id: EntryId = "2:17".parse().unwrap();
        assert_eq!((id.partition, id.offset), (2, 17));
        assert_eq!(id.to_string(), "2:17");
        for text in ["", "2", "2:", ":1", "-1:2", "1:-2", "a:b", "1:2:3", "99999999999:1"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let now = "2025-01-01T00:00:00Z".parse().unwrap();
        let id = "1:5".parse().unwrap();
        for (settlement, name) in [(Settlement::Resolved, "resolved"), (Settlement::Replayed, "replayed")] {
            let tombstone = Mark::tombstone(id, settlement, "anna", now, &TraceContext::new());
            assert_eq!((tombstone.partition, tombstone.headers[0].1.as_str()), (1, name));
            let (at, by) = (Some(now), Some("anna".to_owned()));
            let read = Mark::of_record(&mark(&tombstone.key, &tombstone.headers));
            assert_eq!(read, Some((id, Mark { settlement, at, by })));
        }
    }

    #[test]
    fn a_mark_settles_only_an_entry_before_it_in_its_own_partition() {
        let resolved = |key| mark(key, &[(ACTION, "resolved".to_owned())]);
        let with_value = |value: &[u8]| TopicRecord {
            value: Some(value.to_vec()),
            ..resolved("1:8")
        };
        for tombstone in [resolved("1:8"), with_value(b"")] {
            let (_, read) = Mark::of_record(&tombstone).unwrap();
            assert_eq!((read.settlement, read.by), (Settlement::Resolved, None));
            assert_eq!(Entry::of_record(tombstone, None), None);
        }
        for other in [
            resolved("2:8"),
            resolved("1:9"),
            resolved("1:10"),
            resolved("some-trace-id"),
            mark("1:8", &[(ACTION, "forgotten".to_owned())]),
            mark("1:8", &[]),
            with_value(b"{}"),
        ] {
            assert_eq!(Mark::of_record(&other), None, "{other:?}");
        }
    }
}
