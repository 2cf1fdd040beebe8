//! What an answer says about an entry: no original message, no secrets.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::entry::{Entry, EntryId, Mark, Settlement};
use xact_contracts::category::Category;
use xact_contracts::messages::{DownloadTask, SourceRecord};
use xact_contracts::redaction::{redact_text, redact_url};
use xact_contracts::time;

/// Whether an entry is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EntryState {
    /// Not settled.
    Waiting,
    /// Resolved.
    Resolved,
    /// Replayed.
    Replayed,
}

/// What the original message of an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Holds {
    /// A download task.
    #[serde(rename = "task")]
    Task,
    /// A message that its stage could not read.
    #[serde(rename = "unreadable message")]
    UnreadableMessage,
    /// The record is foreign: its value is not a dead letter.
    #[serde(rename = "foreign record")]
    ForeignRecord,
}

/// An entry in a list. Texts are redacted.
#[derive(Debug, Clone, Serialize)]
pub struct EntrySummary {
    /// Its identity.
    #[serde(flatten)]
    pub id: EntryId,
    /// Whether it is settled.
    pub state: EntryState,
    /// When it was settled.
    #[serde(with = "time::optional")]
    pub settled_at: Option<Timestamp>,
    /// Who settled it, as far as it is known.
    pub settled_by: Option<String>,
    /// What its original message is.
    pub holds: Holds,
    /// Its event.
    pub trace_id: Option<String>,
    /// Its attachment.
    pub media_id: Option<Uuid>,
    /// The attachment's URL without its query.
    pub attachment_url: Option<String>,
    /// The stage that gave up.
    pub stage: Option<String>,
    /// Where that stage read the message.
    pub source: Option<SourceRecord>,
    /// The error category.
    pub error_category: Option<Category>,
    /// The error.
    pub final_error: Option<String>,
    /// Attempts that failed before.
    pub retry_count: Option<u32>,
    /// Replays so far.
    pub replay_count: Option<u32>,
    /// When the stage gave up; for a foreign record, when it was written.
    #[serde(with = "time::optional")]
    pub failed_at: Option<Timestamp>,
    /// The key of the record.
    pub key: Option<String>,
}

/// The reason of a foreign record.
pub(super) const FOREIGN: &str = "not a dead letter (foreign record on this topic)";

impl EntrySummary {
    /// Returns the error; for a foreign record, that it is one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.final_error.as_deref().unwrap_or(FOREIGN)
    }

    /// Notes that the entry is settled, or that it waits.
    pub(super) fn settle(&mut self, mark: Option<&Mark>) {
        self.state = match mark.map(|mark| mark.settlement) {
            None => EntryState::Waiting,
            Some(Settlement::Resolved) => EntryState::Resolved,
            Some(Settlement::Replayed) => EntryState::Replayed,
        };
        self.settled_at = mark.and_then(|mark| mark.at);
        self.settled_by = mark.and_then(|mark| mark.by.clone());
    }

    pub(super) fn of(entry: &Entry) -> Self {
        let letter = entry.letter();
        let task = letter.and_then(|letter| letter.original_task.as_ref());
        let mut summary = Self {
            id: entry.id,
            state: EntryState::Waiting,
            settled_at: None,
            settled_by: None,
            holds: match (letter, task) {
                (None, _) => Holds::ForeignRecord,
                (Some(_), Some(_)) => Holds::Task,
                (Some(_), None) => Holds::UnreadableMessage,
            },
            trace_id: entry.trace_id().map(redact_text),
            media_id: entry.media_id(),
            attachment_url: letter
                .and_then(|letter| letter.attachment_url.as_deref())
                .map(redact_url),
            stage: letter.map(|letter| redact_text(&letter.stage)),
            source: letter.map(|letter| SourceRecord {
                topic: redact_text(&letter.source.topic),
                ..letter.source.clone()
            }),
            error_category: entry.category(),
            final_error: letter.map(|letter| redact_text(&letter.final_error)),
            retry_count: letter.map(|letter| letter.retry_count),
            replay_count: task.map(DownloadTask::replay_count),
            failed_at: entry.failed_at(),
            key: entry.key.as_deref().map(redact_text),
        };
        summary.settle(entry.mark.as_ref());
        summary
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::replay::tests::task_entry;
    use super::*;

    #[test]
    fn the_json_of_a_task_is_one_flat_object_without_its_signature() {
        let json = serde_json::to_value(EntrySummary::of(&task_entry())).unwrap();
        let expected = json!({
            "partition": 1, "offset": 7, "state": "waiting", "settled_at": Value::Null, "settled_by": Value::Null, "holds": "task",
            "trace_id": "t", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68",
            "attachment_url": "https://a.example/b.pdf", "stage": "download",
            "source": {"topic": "xact.downloads.pending", "partition": 2, "offset": 9, "timestamp": Value::Null},
            "error_category": "transient", "final_error": "503", "retry_count": 4, "replay_count": 0,
            "failed_at": "2025-01-01T00:00:00.000000Z", "key": "t",
        });
        assert_eq!(json, expected);
    }
}
