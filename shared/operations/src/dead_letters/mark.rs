//! The mark that settles an entry: a tombstone with the entry's id as its key and the settlement in a header.

use jiff::Timestamp;
use serde::Serialize;

use super::entry_id::EntryId;
use xact_contracts::time;
use xact_kafka::admin::Tombstone;
use xact_kafka::admin::TopicRecord;

/// Header of a mark: the settlement.
const ACTION: &str = "dlq_action";
/// Header of a mark: the time of the settlement.
const AT: &str = "dlq_at";

/// How an entry is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Settlement {
    /// Marked as dealt with; nothing is sent.
    Resolved,
    /// The message of the entry is sent again, then the entry is marked.
    Replayed,
}

impl Settlement {
    /// Returns the name in headers, answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Replayed => "replayed",
        }
    }
}

/// The settlement of one entry, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The settlement.
    pub settlement: Settlement,
    /// The time in the header, else that of the record.
    pub at: Option<Timestamp>,
}

impl Mark {
    /// Returns the entry that a record settles, and its mark; `None` for any other record.
    pub(super) fn of_record(record: &TopicRecord) -> Option<(EntryId, Self)> {
        if record.value.is_some() {
            return None;
        }
        let settlement = match record.header(ACTION)? {
            "resolved" => Settlement::Resolved,
            "replayed" => Settlement::Replayed,
            _ => return None,
        };
        let id: EntryId = record.key_text()?.parse().ok()?;
        // Any client can write any key. A mark counts only after its entry, in the same partition.
        if id.partition != record.partition || id.offset >= record.offset {
            return None;
        }
        let at = record.header(AT).and_then(time::parse_text).or(record.timestamp);
        Some((id, Self { settlement, at }))
    }

    /// Returns the record that settles an entry.
    pub(super) fn tombstone(id: EntryId, settlement: Settlement, now: Timestamp) -> Tombstone {
        Tombstone {
            partition: id.partition,
            key: id.to_string(),
            headers: vec![(ACTION, settlement.as_str().to_owned()), (AT, time::format(now))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(partition: i32, offset: i64, key: &str, action: &str) -> TopicRecord {
        TopicRecord {
            partition,
            offset,
            timestamp: None,
            key: Some(key.as_bytes().to_vec()),
            value: None,
            headers: vec![(ACTION.to_owned(), Some(action.as_bytes().to_vec()))],
        }
    }

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let now = "2025-01-01T00:00:00Z".parse().unwrap();
        let id = EntryId {
            partition: 1,
            offset: 5,
        };
        for settlement in [Settlement::Resolved, Settlement::Replayed] {
            let tombstone = Mark::tombstone(id, settlement, now);
            assert_eq!(tombstone.partition, 1);
            let headers = tombstone.headers.into_iter();
            let record = TopicRecord {
                headers: headers
                    .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
                    .collect(),
                ..mark(1, 9, &tombstone.key, "")
            };
            let expected = Mark {
                settlement,
                at: Some(now),
            };
            assert_eq!(Mark::of_record(&record), Some((id, expected)));
        }
    }

    #[test]
    fn a_mark_settles_only_an_entry_before_it_in_its_own_partition() {
        assert!(Mark::of_record(&mark(1, 9, "1:8", "resolved")).is_some());
        for other in [
            mark(1, 9, "2:8", "resolved"),
            mark(1, 9, "1:9", "resolved"),
            mark(1, 9, "1:10", "resolved"),
            mark(1, 9, "some-trace-id", "resolved"),
            mark(1, 9, "1:8", "forgotten"),
            TopicRecord {
                value: Some(Vec::new()),
                ..mark(1, 9, "1:8", "resolved")
            },
            TopicRecord {
                headers: Vec::new(),
                ..mark(1, 9, "1:8", "resolved")
            },
        ] {
            assert_eq!(Mark::of_record(&other), None, "{other:?}");
        }
    }
}
