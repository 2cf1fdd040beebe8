//! A single JSON value as it is written.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Returns the trimmed text of a string, or a number or boolean as it is written; `None` for null, a blank string, a list or
/// an object.
#[must_use]
pub fn text_of(value: &RawValue) -> Option<String> {
    let written = value.get();
    let text = match Kind::of(value) {
        Kind::String => string(value)?,
        Kind::Number | Kind::Boolean => Cow::Borrowed(written),
        Kind::Null | Kind::List | Kind::Object => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the content of a string; `None` for any other value.
#[must_use]
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(value.get()).ok()?;
    Some(text)
}

/// The content of a string, borrowed from the JSON text if it has no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Deserializes a value.
///
/// # Errors
/// If it is not of that type.
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
    /// Returns the type of a value.
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
