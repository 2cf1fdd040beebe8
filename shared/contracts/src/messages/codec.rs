//! Encoding and decoding of messages.

use serde::{Serialize, de::DeserializeOwned};

use super::names;
use crate::json;
use crate::redaction::{redact_text, truncate_error};

/// A message cannot be decoded. Whatever the text quotes of its content is redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable {message}: {reason}")]
pub struct DecodeError {
    message: &'static str,
    reason: String,
}

impl DecodeError {
    pub(super) fn new(message: &'static str, reason: impl std::fmt::Display) -> Self {
        Self {
            message,
            reason: truncate_error(&redact_text(&reason.to_string())),
        }
    }
}

/// Bytes that are reserved for a message. Most are shorter, so their buffer is not enlarged step by step.
const USUAL_BYTES: usize = 1024;

/// Encodes a message as JSON.
#[must_use]
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, message) {
        Ok(()) => bytes,
        // Serializing these structs (string keys, no custom maps) into memory cannot fail.
        Err(_) => Vec::new(),
    }
}

/// Decodes a message that the pipeline itself writes. Field names in another case are tried only if decoding fails, so that
/// the normal case costs nothing extra.
pub(super) fn decode_json<M: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<M, DecodeError> {
    let text = json::readable(bytes).map_err(|reason| DecodeError::new(name, reason))?;
    serde_json::from_str(&text).or_else(|error| {
        let renamed = serde_json::from_str(&text).ok().and_then(names::in_snake_case);
        renamed
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or_else(|| DecodeError::new(name, error))
    })
}
