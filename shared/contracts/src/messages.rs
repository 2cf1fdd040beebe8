//! What travels between the stages: UTF-8 JSON, read tolerantly and written in one form.
//!
//! Rules for all messages (specification, section 2): unknown fields are ignored; required strings are trimmed and
//! must not be blank; ids may arrive as numbers and become strings; timestamps are read in many forms ([`crate::time`]);
//! known names are recognised whatever their case; a byte order mark is skipped.

mod cached;
mod dead_letter;
mod dead_letter_record;
mod event;
mod fields;
mod names;
mod result;
mod task;

pub use crate::json::MAX_VALUES;
pub use cached::CachedDownload;
pub use dead_letter::{DeadLetter, MAX_PAYLOAD_BYTES, Payload, SourceRecord};
pub use dead_letter_record::DeadLetterRecord;
pub use event::{Event, Inner, Irregularities, MAX_ATTACHMENTS, MAX_ID_BYTES, RefusedTimestamp};
pub use result::{DownloadResult, Status};
pub use task::{DownloadTask, metadata};

use serde::{Serialize, de::DeserializeOwned};

use crate::category::Category;
use crate::json;
use crate::redaction::{redact_text, truncate_error};
use crate::topology::TopicRole;

/// A message that could not be read. What the text repeats of its content is redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable {message}: {reason}")]
pub struct DecodeError {
    message: &'static str,
    reason: String,
}

impl DecodeError {
    fn new(message: &'static str, reason: impl std::fmt::Display) -> Self {
        Self {
            message,
            reason: truncate_error(&redact_text(&reason.to_string())),
        }
    }
}

/// A message of the pipeline: how it is read from and written to a topic.
pub trait Message: Send + Sized + 'static {
    /// Its name in errors and docs.
    const NAME: &'static str;

    /// The role of the topic that messages of this type are produced to. A stage may read them from another one: a
    /// [`DownloadTask`] waits in a retry topic before its next attempt.
    const ROLE: TopicRole;

    /// Reads a message.
    ///
    /// # Errors
    /// When the bytes are no JSON object of this shape. Never panics, whatever the bytes.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// The id that all messages of one event share: the key of the record.
    fn trace_id(&self) -> &str;

    /// The attachment that the message is about, if it is about one.
    fn media_id(&self) -> Option<uuid::Uuid> {
        None
    }

    /// The download task in it or behind it: what is retried, and what a dead letter keeps.
    fn task(&self) -> Option<DownloadTask> {
        None
    }
}

/// Writes a message as JSON.
#[must_use]
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    // Serializing our own structs (string keys, no custom maps) into memory cannot fail.
    serde_json::to_vec(message).unwrap_or_default()
}

/// Reads a message of our own. Names of fields in another case are looked for only if it cannot be read otherwise.
fn decode_json<M: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<M, DecodeError> {
    let text = json::readable(bytes).map_err(|reason| DecodeError::new(name, reason))?;
    serde_json::from_str(&text).or_else(|error| {
        // The normal case pays nothing for the other.
        let renamed = serde_json::from_str(&text).ok().and_then(names::in_snake_case);
        renamed
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or_else(|| DecodeError::new(name, error))
    })
}

/// What went wrong with one message: the part of a failure that is written down. Its text is safe to store and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Decides where the message goes.
    pub category: Category,
    message: String,
    /// The answer's status, when a server answered.
    pub http_status: Option<u16>,
}

impl Problem {
    /// A problem with its text, from which secrets are removed; at most 500 characters are kept.
    ///
    /// Never blank: no stage could read a dead letter without a reason.
    #[must_use]
    pub fn new(category: Category, message: impl AsRef<str>) -> Self {
        let redacted = redact_text(message.as_ref());
        let text = match redacted.trim() {
            "" => "the failure came without a text",
            text => text,
        };
        Self {
            category,
            message: truncate_error(text),
            http_status: None,
        }
    }

    /// Adds the status that the server answered with.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// The redacted text, at most 500 characters.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
