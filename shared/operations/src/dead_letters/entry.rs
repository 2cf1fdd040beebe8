//! An entry of the dead-letter topic.

use jiff::Timestamp;
use uuid::Uuid;

use super::entry_id::EntryId;
use super::mark::Mark;
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, DeadLetterRecord};
use xact_kafka::admin::TopicRecord;

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
        let key = record.key_text().map(str::to_owned);
        let content = match DeadLetterRecord::of_value(record.value) {
            DeadLetterRecord::Tombstone => return None,
            content => content,
        };
        Some(Self {
            id: EntryId {
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

    /// Returns the error category.
    #[must_use]
    pub fn category(&self) -> Option<Category> {
        Some(self.letter()?.error_category)
    }
}
