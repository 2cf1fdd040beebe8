//! What is read from the dead-letter topic. Nothing is unreadable here: there is no topic behind this one.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use xact_contracts::messages::{DeadLetter, DecodeError, Message, Payload};
use xact_contracts::redaction::redact_text;
use xact_contracts::time;

/// A record of the dead-letter topic.
pub enum Letter {
    /// A dead letter.
    Dead(Box<DeadLetter>),
    /// Something else that somebody wrote there.
    Foreign(Vec<u8>),
    /// A record without a value marks an entry as settled.
    Tombstone,
}

impl Message for Letter {
    const NAME: &'static str = "dead letter";

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match bytes {
            [] => Self::Tombstone,
            bytes => DeadLetter::decode(bytes)
                .map_or_else(|_| Self::Foreign(bytes.to_vec()), |letter| Self::Dead(Box::new(letter))),
        })
    }

    fn trace_id(&self) -> &str {
        match self {
            Self::Dead(letter) => letter.trace_id(),
            Self::Foreign(_) | Self::Tombstone => "",
        }
    }

    fn media_id(&self) -> Option<Uuid> {
        match self {
            Self::Dead(letter) => letter.media_id,
            Self::Foreign(_) | Self::Tombstone => None,
        }
    }
}

impl Letter {
    /// Stage and category, for counting.
    pub(crate) fn labels(&self) -> (&str, &'static str) {
        match self {
            // Any text may be in a message's stage, and each new one would be a new series for ever.
            Self::Dead(letter) => {
                let stage = xact_contracts::topology::STAGES
                    .iter()
                    .find(|row| row.name == letter.stage)
                    .map_or("other", |row| row.name);
                (stage, letter.error_category.as_str())
            }
            Self::Foreign(_) | Self::Tombstone => ("other", "unknown"),
        }
    }

    /// One JSON object: what happened, without the parts that hold secrets.
    pub(crate) fn audit_line(&self, now: Timestamp) -> Value {
        match self {
            Self::Dead(letter) => json!({
                "audited_at": time::format(now),
                "trace_id": letter.trace_id,
                "media_id": letter.media_id,
                "attachment_url": letter.attachment_url.as_deref().map(xact_contracts::redaction::redact_url),
                "stage": letter.stage,
                "source": letter.source,
                "error_category": letter.error_category,
                "final_error": redact_text(&letter.final_error),
                "retry_count": letter.retry_count,
                "failed_at": time::format(letter.failed_at),
                "blob_path": letter.original_task.as_ref().map(|task| task.blob_path.as_str()),
                "assignment_id": letter.original_task.as_ref().map(|task| task.assignment_id.as_str()),
                "payload_bytes": letter.original_payload.as_ref().map(String::len),
            }),
            Self::Foreign(bytes) => {
                let payload = Payload::of_bytes(bytes);
                json!({
                    "audited_at": time::format(now),
                    "final_error": "this record of the dead-letter topic is no dead letter",
                    "original_payload": redact_text(&payload.text.chars().take(2000).collect::<String>()),
                    "original_encoding": payload.encoding,
                    "payload_bytes": bytes.len(),
                })
            }
            Self::Tombstone => Value::Null,
        }
    }
}
