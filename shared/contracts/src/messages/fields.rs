//! Tolerant decoding of single JSON fields, shared by all messages.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Number, Value};

/// Returns the text of a string, number or boolean, trimmed; `None` for null, blank text, lists and objects.
pub(super) fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Decodes a required string: trimmed and not blank. Numbers become strings.
pub(super) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => {
            let trimmed = text.trim();
            match trimmed.len() {
                0 => Err(Error::custom("a required string is blank")),
                length if length == text.len() => Ok(text),
                _ => Ok(trimmed.to_owned()),
            }
        }
        Value::Number(number) if is_exact(&number) => Ok(number.to_string()),
        Value::Number(_) => Err(Error::custom(
            "a number too large to be kept exactly: it must be a string",
        )),
        other => Err(Error::custom(format_args!("expected a string, found {}", kind(&other)))),
    }
}

/// Whether parsing kept all digits of a number. Beyond 64 bits two different ids would become equal.
pub(super) fn is_exact(number: &Number) -> bool {
    const FIRST_INEXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    !number.is_f64() || number.as_f64().is_some_and(|number| number.abs() < FIRST_INEXACT)
}

/// Decodes an optional string. Blank text, null and other types count as absent.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text_of(&Value::deserialize(deserializer)?))
}

/// Decodes a count: a whole number, or its digits in a string. Anything else is 0.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(count_of(&Value::deserialize(deserializer)?))
}

pub(super) fn count_of(value: &Value) -> u32 {
    match value {
        Value::Number(number) => number.as_u64().map_or(0, |count| count.try_into().unwrap_or(u32::MAX)),
        Value::String(text) => text.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// Limits the nesting of a message's `metadata`. A dead letter contains the task: at the parser's own limit (128) the letter
/// could be encoded, and could not be decoded.
const MAX_DEPTH: usize = 64;

/// Decodes an object. Null and anything else is an empty object.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(object) if object.values().any(|value| is_deeper(value, MAX_DEPTH - 1)) => Err(D::Error::custom(
            format_args!("it is nested more than {MAX_DEPTH} levels deep"),
        )),
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}

/// Whether lists and objects are nested more than `levels` deep.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let inner_is = |inner: &Value| is_deeper(inner, levels - 1);
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(inner_is),
        Value::Object(fields) => fields.values().any(inner_is),
        _ => false,
    }
}

/// Returns the JSON type, for errors.
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
