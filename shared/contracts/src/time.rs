//! Timestamps: read in every form that sources write ([`forms`]), written as RFC 3339 UTC with microseconds.

mod forms;

use std::fmt::{self, Write as _};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{self, Kind};
use crate::redaction::{redact_text, truncate_error};

/// The earliest accepted instant. Earlier ones are defaults of programs (0001-01-01, 1899-12-30), and Spark refuses to read
/// the earliest of them.
pub const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;
/// The latest accepted instant, 2100-01-01. Later ones mean "never" (9999-12-31).
pub const LATEST: Timestamp = Timestamp::constant(4_102_444_800, 0);

/// Why a value is not accepted as a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// In none of the accepted forms.
    #[error("it is in none of the accepted forms (RFC 3339, Unix seconds and their like)")]
    Unreadable,
    /// Before [`EARLIEST`] or after [`LATEST`].
    #[error("it lies outside 1970-01-01 to 2100-01-01")]
    OutOfRange,
}

/// Reads a timestamp in any of the accepted forms; `None` if it is in none of them, or out of range.
#[must_use]
pub fn parse(value: &Value) -> Option<Timestamp> {
    in_range(any_form(value)?).ok()
}

/// Reads a value in any of the accepted forms, without checking the range.
fn any_form(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => forms::text(text.trim()),
        Value::Number(number) => forms::unix(&number.to_string()),
        _ => None,
    }
}

/// Reads a text as [`parse`] does.
#[must_use]
pub fn parse_text(text: &str) -> Option<Timestamp> {
    read_text(text).ok()
}

/// Reads a timestamp as it is written in a message; `None` for null and blank text.
pub fn read(value: &RawValue) -> Option<Result<Timestamp, TimestampError>> {
    let number = match Kind::of(value) {
        Kind::Null => return None,
        Kind::String => {
            let text = json::string(value)?;
            return (!text.trim().is_empty()).then(|| read_text(&text));
        }
        Kind::Number => forms::unix(value.get()),
        Kind::Boolean | Kind::List | Kind::Object => None,
    };
    Some(number.ok_or(TimestampError::Unreadable).and_then(in_range))
}

fn read_text(text: &str) -> Result<Timestamp, TimestampError> {
    forms::text(text.trim())
        .ok_or(TimestampError::Unreadable)
        .and_then(in_range)
}

fn in_range(timestamp: Timestamp) -> Result<Timestamp, TimestampError> {
    match (EARLIEST..=LATEST).contains(&timestamp) {
        true => Ok(to_microseconds(timestamp)),
        false => Err(TimestampError::OutOfRange),
    }
}

/// Whether it is in a year that can be written and read again.
pub(crate) fn is_of_our_era(timestamp: &Timestamp) -> bool {
    utc_date(*timestamp).year() >= 1
}

/// Truncates to microseconds, the precision of Delta and of the messages.
#[must_use]
pub fn to_microseconds(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(timestamp.as_microsecond()).unwrap_or(timestamp)
}

/// Writes a timestamp: `2024-12-31T12:00:00.000000Z`.
#[must_use]
pub fn format(timestamp: Timestamp) -> String {
    let mut text = String::with_capacity("2024-12-31T12:00:00.000000Z".len());
    // Writing to memory cannot fail.
    let _ = write!(text, "{}", written(timestamp));
    text
}

fn written(timestamp: Timestamp) -> impl fmt::Display {
    // Truncated first: before 1970, formatting alone would round in the other direction.
    fmt::from_fn(move |f| write!(f, "{:.6}", to_microseconds(timestamp)))
}

/// Returns the UTC date: the partition of a row.
#[must_use]
pub fn utc_date(timestamp: Timestamp) -> civil::Date {
    timestamp.to_zoned_datetime(TimeZone::UTC).date()
}

/// Serializes a required timestamp, for `#[serde(with = "time")]`.
///
/// # Errors
/// If the serializer fails.
pub fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&written(*timestamp))
}

/// Deserializes a required timestamp, for `#[serde(with = "time")]`. One out of range becomes [`EARLIEST`] or [`LATEST`]:
/// messages of version 0.2 hold such, and they must have the same date each time they are read.
///
/// # Errors
/// If the value is not a timestamp in any accepted form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = any_form(&value).ok_or_else(|| {
        serde::de::Error::custom(format_args!(
            "not a timestamp (RFC 3339, or Unix seconds or milliseconds): {}",
            truncate_error(&redact_text(&value.to_string()))
        ))
    })?;
    Ok(to_microseconds(read.clamp(EARLIEST, LATEST)))
}

/// An optional timestamp, for `#[serde(with = "time::optional")]`. An unreadable one counts as absent.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, Value};

    /// Writes the timestamp or `null`.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(timestamp: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match timestamp {
            Some(timestamp) => super::serialize(timestamp, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a timestamp; anything unreadable is `None`.
    ///
    /// # Errors
    /// If the input is not JSON.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(super::parse(&Value::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests;
