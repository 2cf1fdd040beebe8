//! Tolerant readers of single JSON fields, shared by all messages.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

/// Text of a string, number or boolean, trimmed; `None` for null, blank, lists and objects.
pub(super) fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A required string: trimmed, not blank; numbers become strings.
pub(super) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => {
            let trimmed = text.trim();
            if trimmed.is_empty() {
                Err(D::Error::custom("a required string is blank"))
            } else if trimmed.len() == text.len() {
                Ok(text)
            } else {
                Ok(trimmed.to_owned())
            }
        }
        Value::Number(number) => Ok(number.to_string()),
        other => Err(D::Error::custom(format_args!(
            "expected a string, found {}",
            kind(&other)
        ))),
    }
}

/// An optional string: blank, null and other types count as absent.
pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text_of(&Value::deserialize(deserializer)?))
}

/// A count: a whole number, or its digits in a string; absent or anything else is 0.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(count_of(&Value::deserialize(deserializer)?))
}

pub(super) fn count_of(value: &Value) -> u32 {
    match value {
        Value::Number(number) => number
            .as_u64()
            .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        Value::String(text) => text.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// An object; null or anything else is an empty one.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(object) => object,
        _ => Map::new(),
    })
}

/// The JSON type, for errors.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
