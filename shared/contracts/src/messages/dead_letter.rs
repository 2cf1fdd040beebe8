//! The dead letter: a message that no further attempt is made for, with all that is needed to understand and replay it.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::codec::{DecodeError, decode_json};
use super::fields;
use super::problem::Problem;
use super::{DownloadTask, Message};
use crate::category::Category;
use crate::time;
use crate::topology::TopicRole;

/// The record that a message was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The record's own timestamp.
    #[serde(default, with = "time::optional")]
    pub timestamp: Option<Timestamp>,
}

/// Limits how many bytes of a message a dead letter keeps, counted as JSON. With the other fields it fits into the 1 MB that
/// Event Hubs accepts.
pub const MAX_PAYLOAD_BYTES: usize = 900_000;

/// The original bytes of a message: text if they are UTF-8, or base64 if that is shorter than the escaped text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Text or base64; of the first bytes only, if not all of them fit.
    pub text: String,
    /// `Some("base64")` if it is base64.
    pub encoding: Option<String>,
    /// Size of the whole message, if it does not fit.
    pub cut_from: Option<usize>,
}

impl Payload {
    /// Returns the payload of these bytes, lossless up to [`MAX_PAYLOAD_BYTES`].
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let encoded_length = bytes.len().div_ceil(3) * 4;
        let max_length = encoded_length.clamp(MAX_PAYLOAD_BYTES / 100, MAX_PAYLOAD_BYTES);
        if let Ok(text) = std::str::from_utf8(bytes)
            && escaped_length(text) <= max_length
        {
            return Self {
                text: text.to_owned(),
                encoding: None,
                cut_from: None,
            };
        }
        let fits = MAX_PAYLOAD_BYTES / 4 * 3;
        Self {
            text: STANDARD.encode(&bytes[..bytes.len().min(fits)]),
            encoding: Some("base64".to_owned()),
            cut_from: (bytes.len() > fits).then_some(bytes.len()),
        }
    }
}

/// Returns the length of the text as a JSON string, without quotes.
fn escaped_length(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escaped.sum()
}

/// One dead letter. Topic: dlq.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Id of the event, if the message could be decoded.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Id of the attachment, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<Uuid>,
    /// URL of the attachment without its query string.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// Stage that wrote the dead letter.
    #[serde(deserialize_with = "fields::required")]
    pub stage: String,
    /// The record that the message was read from.
    pub source: SourceRecord,
    /// Category of the failure.
    pub error_category: Category,
    /// Text of the failure, at most 500 characters.
    #[serde(deserialize_with = "fields::required")]
    pub final_error: String,
    /// Number of failed attempts before.
    #[serde(default, deserialize_with = "fields::count")]
    pub retry_count: u32,
    /// When the dead letter was written.
    #[serde(with = "time")]
    pub failed_at: Timestamp,
    /// The task, if the message could be decoded. A replay sends it, so it has the whole URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_task: Option<DownloadTask>,
    /// The message's bytes, if it could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_payload: Option<String>,
    /// `base64` if the payload is base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_encoding: Option<String>,
    /// Size of the whole message in bytes, if only its beginning is here; the source record has all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_cut_from: Option<usize>,
}

impl DeadLetter {
    /// Returns the dead letter of a task.
    #[must_use]
    pub fn of_task(task: DownloadTask, problem: &Problem, stage: &str, source: SourceRecord, now: Timestamp) -> Self {
        Self {
            trace_id: Some(task.trace_id.clone()),
            media_id: Some(task.media_id),
            attachment_url: Some(crate::redaction::redact_url(&task.attachment_url)),
            retry_count: task.retry_count,
            original_task: Some(task),
            ..Self::blank(problem, stage, source, now)
        }
    }

    /// Returns the dead letter of a message that cannot be decoded, or that has no single task.
    #[must_use]
    pub fn of_payload(
        payload: &[u8],
        trace_id: Option<String>,
        problem: &Problem,
        stage: &str,
        source: SourceRecord,
        now: Timestamp,
    ) -> Self {
        let payload = Payload::of_bytes(payload);
        Self {
            trace_id,
            original_payload: Some(payload.text),
            original_encoding: payload.encoding,
            original_cut_from: payload.cut_from,
            ..Self::blank(problem, stage, source, now)
        }
    }

    fn blank(problem: &Problem, stage: &str, source: SourceRecord, now: Timestamp) -> Self {
        Self {
            trace_id: None,
            media_id: None,
            attachment_url: None,
            stage: stage.to_owned(),
            source,
            error_category: problem.category,
            final_error: problem.message().to_owned(),
            retry_count: 0,
            failed_at: time::to_microseconds(now),
            original_task: None,
            original_payload: None,
            original_encoding: None,
            original_cut_from: None,
        }
    }

    /// Returns the original bytes of a message that could not be decoded; only their beginning if
    /// [`Self::original_cut_from`] is set.
    ///
    /// # Errors
    /// If the base64 is damaged.
    pub fn original_bytes(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        let Some(text) = &self.original_payload else {
            return Ok(None);
        };
        match self.original_encoding.as_deref() {
            Some("base64") => STANDARD.decode(text).map(Some),
            _ => Ok(Some(text.clone().into_bytes())),
        }
    }
}

impl Message for DeadLetter {
    const NAME: &'static str = "dead letter";
    const ROLE: TopicRole = TopicRole::Dlq;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_json(Self::NAME, bytes)
    }

    fn trace_id(&self) -> &str {
        self.trace_id.as_deref().unwrap_or_default()
    }

    fn media_id(&self) -> Option<Uuid> {
        self.media_id
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::messages::encode;

    pub(in crate::messages) fn letter_of(bytes: &[u8], trace_id: Option<&str>) -> DeadLetter {
        let source = SourceRecord {
            topic: "xact.events.raw".to_owned(),
            partition: 1,
            offset: 7,
            timestamp: None,
        };
        let problem = Problem::new(Category::Permanent, "unreadable");
        let trace_id = trace_id.map(str::to_owned);
        DeadLetter::of_payload(bytes, trace_id, &problem, "download", source, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn large_messages_are_kept_whole_where_they_fit_and_marked_where_they_do_not() {
        for (bytes, cut) in [
            (vec![b'x'; 900_000], None),
            // Escaped it is twice as long; as base64 only a third longer, and fits.
            (vec![b'"'; 600_000], None),
            (vec![0xff; 670_000], None),
            (vec![1; 1_000_000], Some(1_000_000)),
            (vec![b'x'; 1_000_000], Some(1_000_000)),
        ] {
            let letter = letter_of(&bytes, None);
            assert_eq!(letter.original_cut_from, cut);
            assert!(encode(&letter).len() < 950_000);
            let kept = letter.original_bytes().unwrap().unwrap();
            assert!(bytes.starts_with(&kept) && kept.len() > 600_000.min(bytes.len() - 1));
            assert_eq!(kept.len() == bytes.len(), cut.is_none());
        }
    }

    proptest! {
        #[test]
        fn unreadable_bytes_survive_exactly(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let letter = letter_of(&bytes, None);
            let read = DeadLetter::decode(&encode(&letter)).unwrap();
            prop_assert_eq!(read.original_bytes().unwrap().unwrap(), bytes);
            prop_assert_eq!(read, letter);
        }
    }
}
