//! An entry of the dead-letter topic, and the mark that settles it.
//!
//! A mark is a tombstone in the entry's own partition, behind it: no value, the entry's place as its key, and what was
//! done in a header. So an entry's state is in the topic itself, for everybody, and no group's position has a part in it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, Message};
use xact_contracts::time;
use xact_kafka::admin::Tombstone;
use xact_kafka::admin::TopicRecord;

/// Header of a mark: what was done.
const ACTION: &str = "dlq_action";
/// Header of a mark: when.
const AT: &str = "dlq_at";

/// Where an entry is: what identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// What stands where a place should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no entry: give PARTITION:OFFSET as `dlq list` shows it, such as 0:17")]
pub(crate) struct NoPlace(String);

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let place = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self {
                partition: partition.parse().ok().filter(|partition| *partition >= 0)?,
                offset: offset.parse().ok().filter(|offset| *offset >= 0)?,
            })
        });
        place.ok_or_else(|| NoPlace(text.to_owned()))
    }
}

/// What was done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Resolved,
    Replayed,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Replayed => "replayed",
        }
    }
}

/// An entry was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) action: Action,
    pub(crate) at: Option<Timestamp>,
}

impl Mark {
    /// The entry that a record settles, and how; `None` for any other record.
    pub(crate) fn of_record(record: &TopicRecord) -> Option<(Place, Self)> {
        if record.value.is_some() {
            return None;
        }
        let action = match record.header(ACTION)? {
            "resolved" => Action::Resolved,
            "replayed" => Action::Replayed,
            _ => return None,
        };
        let place: Place = record.key_text()?.parse().ok()?;
        // Anybody may write a key: a mark stands behind its entry, in the same partition.
        if place.partition != record.partition || place.offset >= record.offset {
            return None;
        }
        let at = record.header(AT).and_then(time::parse_text).or(record.timestamp);
        Some((place, Self { action, at }))
    }

    /// The record that settles an entry.
    pub(crate) fn tombstone(place: Place, action: Action, now: Timestamp) -> Tombstone {
        Tombstone {
            partition: place.partition,
            key: place.to_string(),
            headers: vec![(ACTION, action.as_str().to_owned()), (AT, time::format(now))],
        }
    }
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// A dead letter.
    Letter(Box<DeadLetter>),
    /// Something else that somebody wrote there.
    Foreign(Vec<u8>),
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) written: Option<Timestamp>,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) content: Content,
    /// `None`: it waits for somebody to settle it.
    pub(crate) mark: Option<Mark>,
}

impl Entry {
    /// The entry in a record; `None` for a tombstone.
    pub(crate) fn of_record(record: TopicRecord, mark: Option<Mark>) -> Option<Self> {
        let key = record.key_text().map(str::to_owned);
        let value = record.value?;
        let content = match DeadLetter::decode(&value) {
            Ok(letter) => Content::Letter(Box::new(letter)),
            Err(_) => Content::Foreign(value),
        };
        Some(Self {
            place: Place {
                partition: record.partition,
                offset: record.offset,
            },
            written: record.timestamp,
            key,
            headers: record.headers,
            content,
            mark,
        })
    }

    pub(crate) fn letter(&self) -> Option<&DeadLetter> {
        match &self.content {
            Content::Letter(letter) => Some(letter),
            Content::Foreign(_) => None,
        }
    }

    /// When its stage gave up; for what is no dead letter, when it was written.
    pub(crate) fn failed_at(&self) -> Option<Timestamp> {
        self.letter().map(|letter| letter.failed_at).or(self.written)
    }

    /// Of the letter, or what its key says: the record's key is the trace id.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        let letter = self.letter().and_then(|letter| letter.trace_id.as_deref());
        letter.or(self.key.as_deref())
    }

    pub(crate) fn media_id(&self) -> Option<Uuid> {
        self.letter()?.media_id
    }

    pub(crate) fn category(&self) -> Option<Category> {
        Some(self.letter()?.error_category)
    }

    /// `waiting`, `resolved` or `replayed`.
    pub(crate) fn state(&self) -> &'static str {
        self.mark.map_or("waiting", |mark| mark.action.as_str())
    }

    /// The original message's bytes, where it could not be read.
    pub(crate) fn original_bytes(&self) -> Result<Option<Vec<u8>>, String> {
        match &self.content {
            Content::Foreign(bytes) => Ok(Some(bytes.clone())),
            Content::Letter(letter) => letter
                .original_bytes()
                .map_err(|error| format!("its base64 is damaged: {error}")),
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
    fn a_place_is_written_as_it_is_read() {
        let place: Place = "2:17".parse().unwrap();
        assert_eq!((place.partition, place.offset), (2, 17));
        assert_eq!(place.to_string(), "2:17");
        for text in ["", "2", "2:", ":1", "-1:2", "1:-2", "a:b", "1:2:3", "99999999999:1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_as_a_mark_is_read_as_one() {
        let now = "2025-01-01T00:00:00Z".parse().unwrap();
        let place = Place {
            partition: 1,
            offset: 5,
        };
        for action in [Action::Resolved, Action::Replayed] {
            let tombstone = Mark::tombstone(place, action, now);
            assert_eq!(tombstone.partition, 1);
            let headers = tombstone.headers.into_iter();
            let record = TopicRecord {
                headers: headers
                    .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
                    .collect(),
                ..mark(1, 9, &tombstone.key, "")
            };
            assert_eq!(Mark::of_record(&record), Some((place, Mark { action, at: Some(now) })));
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
