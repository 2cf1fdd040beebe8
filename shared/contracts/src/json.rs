//! JSON as sources really write it: read without losing a digit, a name or a character.
//!
//! - [`readable`] is a message's text without what no parser takes: a byte order mark, half of a surrogate pair
//! - [`Object`] finds a member by its name, however that is spelled, and hands out its value as it is written
//! - [`survey`] tells what a reader of known fields would miss: URLs elsewhere, names that are there twice
//! - [`redacted`] is a text without its secrets, and otherwise byte for byte the same

mod limits;
mod object;
mod redacted;
mod surrogates;
mod survey;

pub use limits::MAX_VALUES;
pub use object::{Object, is_same_name};
pub use redacted::redacted;
pub use survey::{Survey, TooDeepError, survey};

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Returns the text of a JSON message, ready for a parser: without byte order mark (RFC 8259, section 8.1, lets a reader
/// skip it), with U+FFFD for each half of a surrogate pair.
///
/// # Errors
/// When it is not UTF-8, or holds more than [`MAX_VALUES`] values.
pub fn readable(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = as_written(bytes)?;
    if limits::has_too_many_values(text) {
        return Err(format!("it holds more than {MAX_VALUES} values"));
    }
    Ok(surrogates::without_lone_ones(text))
}

/// Returns the text of a JSON message as it is written, without byte order mark.
///
/// # Errors
/// When it is not UTF-8.
pub fn as_written(bytes: &[u8]) -> Result<&str, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 at byte {}", error.valid_up_to()))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// Returns the text of a string, or the digits of a number or the word of a boolean as they are written; trimmed. `None`
/// for null, a blank string, a list or an object.
#[must_use]
pub fn text_of(value: &RawValue) -> Option<String> {
    let written = value.get();
    let text = match Kind::of(value) {
        Kind::String => string(value)?,
        Kind::Number | Kind::Boolean => written.to_owned(),
        Kind::Null | Kind::List | Kind::Object => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the content of a string; `None` for any other value.
#[must_use]
pub fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Reads a value that the text of a message holds.
///
/// # Errors
/// When it is not of that type.
pub fn read<T: DeserializeOwned>(value: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(value.get())
}

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// Any number
    Number,
    /// Text in quotes
    String,
    /// `[…]`
    List,
    /// `{…}`
    Object,
}

impl Kind {
    /// The type of a value.
    #[must_use]
    pub fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}
