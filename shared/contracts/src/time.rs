//! Timestamps: read in every form that the sources write, written in one (RFC 3339 UTC with microseconds).

use crate::redaction::{redact_text, truncate_error};
use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

/// Whole numbers from here on are Unix milliseconds, below it seconds (10^11 s is the year 5138, 10^11 ms is March 1973).
const FIRST_MILLISECOND_VALUE: f64 = 1e11;

/// Reads a timestamp in any of the accepted forms: RFC 3339 with `Z` or an offset, a space for the `T`, no zone (UTC),
/// a date alone (midnight UTC), Unix seconds or milliseconds, as a number or as digits in a string.
///
/// Only the years 1 to 9999 are read: others are mistakes, and the tables could not hold them.
#[must_use]
pub fn parse(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => parse_text(text),
        Value::Number(number) => from_unix(number.as_f64()?).filter(is_of_our_era),
        _ => None,
    }
}

/// [`parse`] for text.
#[must_use]
pub fn parse_text(text: &str) -> Option<Timestamp> {
    any_form(text.trim()).filter(is_of_our_era)
}

/// Whether it is in the years that are read, and so can be written and read again.
pub(crate) fn is_of_our_era(timestamp: &Timestamp) -> bool {
    utc_date(*timestamp).year() >= 1
}

fn any_form(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(to_microseconds(timestamp));
    }
    if let Ok(civil) = text.parse::<civil::DateTime>() {
        return civil
            .to_zoned_datetime(TimeZone::UTC)
            .ok()
            .map(|zoned| to_microseconds(zoned.timestamp()));
    }
    // Digits alone would also read as a date of the basic format (20240101): those are handled above.
    from_unix(text.parse().ok()?)
}

fn from_unix(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return None;
    }
    let seconds = if number.abs() >= FIRST_MILLISECOND_VALUE {
        number / 1e3
    } else {
        number
    };
    // A float keeps microseconds for centuries around 1970; the saturating cast is caught by the range check.
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

/// Drops what Delta and the messages cannot hold: they have microseconds.
#[must_use]
pub fn to_microseconds(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(timestamp.as_microsecond()).unwrap_or(timestamp)
}

/// The one form in which timestamps are written: `2024-12-31T12:00:00.000000Z`.
#[must_use]
pub fn format(timestamp: Timestamp) -> String {
    // Before 1970 the two would round finer fractions in different directions.
    format!("{:.6}", to_microseconds(timestamp))
}

/// The UTC date: the partition of a row.
#[must_use]
pub fn utc_date(timestamp: Timestamp) -> civil::Date {
    timestamp.to_zoned_datetime(TimeZone::UTC).date()
}

/// `#[serde(with = "time")]`: a required timestamp.
///
/// # Errors
/// When the serializer fails.
pub fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*timestamp))
}

/// `#[serde(with = "time")]`: a required timestamp, read tolerantly.
///
/// # Errors
/// When the value is no timestamp in any accepted form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let value = Value::deserialize(deserializer)?;
    parse(&value).ok_or_else(|| {
        serde::de::Error::custom(format_args!(
            "not a timestamp (RFC 3339, or Unix seconds or milliseconds): {}",
            truncate_error(&redact_text(&value.to_string()))
        ))
    })
}

/// `#[serde(with = "time::optional")]`: a timestamp that may be absent; what cannot be read counts as absent.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, Value};

    /// Writes the timestamp or `null`.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer>(timestamp: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match timestamp {
            Some(timestamp) => super::serialize(timestamp, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a timestamp; anything unreadable is `None`.
    ///
    /// # Errors
    /// When the input is not JSON.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(super::parse(&Value::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_accepted_form_is_the_same_instant() {
        for value in [
            json!("2024-12-31T12:00:00Z"),
            json!("2024-12-31T12:00:00.000Z"),
            json!("2024-12-31T13:00:00+01:00"),
            json!("2024-12-31 12:00:00"),
            json!("2024-12-31 12:00:00Z"),
            json!("2024-12-31 12:00:00.000000+00:00"),
            json!("2024-12-31T12:00:00"),
            json!("  2024-12-31T12:00:00Z "),
            json!(1_735_646_400),
            json!(1_735_646_400_000_i64),
            json!("1735646400"),
            json!("1735646400000"),
            json!(1_735_646_400.0),
        ] {
            let read = parse(&value).map(format);
            assert_eq!(read.as_deref(), Some("2024-12-31T12:00:00.000000Z"), "{value}");
        }
        assert_eq!(
            parse(&json!("2024-12-31")).map(format).as_deref(),
            Some("2024-12-31T00:00:00.000000Z")
        );
    }

    #[test]
    fn finer_fractions_are_written_as_they_are_read() {
        for text in ["0048-01-01T00:00:00.0020001Z", "2024-01-01T00:00:00.0020009Z"] {
            let timestamp: Timestamp = text.parse().unwrap();
            assert_eq!(
                parse_text(&format(timestamp)),
                Some(to_microseconds(timestamp)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_timestamp_is_none() {
        for value in [
            json!(null),
            json!(""),
            json!("soon"),
            json!({}),
            json!(1e300),
            json!("NaN"),
            json!("2024-13-01T00:00:00Z"),
            json!("-000001-01-01T00:00:00Z"),
            json!(-9e10),
        ] {
            assert_eq!(parse(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in -62_135_596_800_000_000_i64..253_402_300_799_000_000) {
            let timestamp = Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(parse_text(&format(timestamp)), Some(timestamp));
        }

        #[test]
        fn never_panics(text in ".*", number in any::<f64>()) {
            let _ = parse_text(&text);
            let _ = parse(&json!(number));
        }
    }
}
