//! The messages between the stages: UTF-8 JSON, decoded tolerantly and encoded in one form.
//!
//! `SPECIFICATION.md`, "Messages", lists the fields of each message and the rules for all of them. The most important: unknown
//! fields are ignored, required strings are trimmed and must not be blank, ids may be numbers, timestamps are accepted in
//! many forms ([`crate::time`]), and field names are recognised in any case.

mod cached;
mod codec;
mod dead_letter;
mod dead_letter_record;
mod event;
mod fields;
mod names;
mod problem;
mod result;
mod task;

pub use crate::json::MAX_VALUES;
pub use cached::CachedDownload;
pub use codec::{DecodeError, encode};
pub use dead_letter::{DeadLetter, MAX_PAYLOAD_BYTES, Payload, SourceRecord};
pub use dead_letter_record::DeadLetterRecord;
pub use event::{Event, Inner, Irregularities, MAX_ATTACHMENTS, MAX_ID_BYTES, RefusedTimestamp};
pub use problem::Problem;
pub use result::{DownloadResult, Status};
pub use task::{DownloadTask, metadata};

use crate::topology::TopicRole;

/// A message type: how it is decoded, and to which topic it is produced.
pub trait Message: Send + Sized + 'static {
    /// Name of the type in errors.
    const NAME: &'static str;

    /// The role of the topic that messages of this type are produced to. A stage may read them from another one: a
    /// [`DownloadTask`] waits in a retry topic before its next attempt.
    const ROLE: TopicRole;

    /// Decodes a message. Never panics.
    ///
    /// # Errors
    /// If the bytes are not a JSON object of this shape.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Returns the id that all messages of one event share. It is the record's key.
    fn trace_id(&self) -> &str;

    /// Returns the id of the message's attachment, if it has one.
    fn media_id(&self) -> Option<uuid::Uuid> {
        None
    }

    /// Returns the download task of the message: it is retried after a failure, and a dead letter keeps it.
    fn task(&self) -> Option<DownloadTask> {
        None
    }
}
