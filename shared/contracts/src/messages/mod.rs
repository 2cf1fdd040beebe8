//! What travels between the stages: UTF-8 JSON, read tolerantly and written in one form.
//!
//! Rules for all messages (specification, section 2): unknown fields are ignored; required strings are trimmed and
//! must not be blank; ids may arrive as numbers and become strings; timestamps are read in many forms ([`crate::time`]).

mod cached;
mod dead_letter;
mod event;
mod fields;
mod result;
mod task;

pub use cached::CachedDownload;
pub use dead_letter::{DeadLetter, MAX_PAYLOAD_BYTES, Payload, Source};
pub use event::{Event, MAX_ATTACHMENTS, MAX_ID_BYTES};
pub use result::{DownloadResult, Status};
pub use task::{DownloadTask, metadata};

use crate::category::Category;
use crate::redaction::{redact_text, truncate_error};
use serde::{Serialize, de::DeserializeOwned};

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

/// Most values (names of fields included) of one message. In memory each takes a hundred bytes and more: a megabyte of
/// `[0],[0],…` would take 128. A real event has a few hundred.
pub const MAX_VALUES: usize = 50_000;

fn decode_json<M: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<M, DecodeError> {
    parse(bytes).map_err(|reason| DecodeError::new(name, reason))
}

/// Reads JSON whose tree may take memory in proportion to the text.
fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    if has_too_many_values(json) {
        return Err(format!("it holds more than {MAX_VALUES} values"));
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// Counts what may begin a value, outside of strings: whether it is JSON at all is the parser's to say.
fn has_too_many_values(json: &[u8]) -> bool {
    // Most messages are too short to hold so many.
    if json.len() <= MAX_VALUES {
        return false;
    }
    let (mut values, mut in_string, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
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
