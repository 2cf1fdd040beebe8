//! The forms in which sources write timestamps.
//!
//! | form | example | written by |
//! |---|---|---|
//! | RFC 3339, ISO 8601 | `2024-12-31T12:00:00.1234567Z`, `2024-12-31T12:00`, `20241231T120000Z` | most |
//! | with spaces | `2024-12-31 12:00:00 +00:00`, `2024-12-31 12:00:00 UTC` | SQL Server, PostgreSQL, Ruby |
//! | Unix time | `1735646400`, `1735646400000`, in µs, in ns; as number or text | many |
//! | RFC 2822 | `Tue, 31 Dec 2024 12:00:00 GMT` | HTTP, mail |
//! | `/Date(ms)/` | `/Date(1735646400000+0000)/` | WCF, Newtonsoft.Json |
//! | US | `12/31/2024 12:00:00 PM`, `12/31/2024 12:00` | .NET in its default culture |
//! | digits alone | `20241231120000`, `20241231` (as text) | HL7, mainframes |
//!
//! Without a zone it is UTC. ISO week dates (`2024-W53-2`) and ordinal dates (`2024-366`) are not read.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::fmt::{rfc2822, strtime};
use jiff::{Timestamp, tz::TimeZone};

/// From this value on, a Unix time is in milliseconds instead of seconds; times 1,000 it is in µs, and again in ns. 10^11 s
/// is in the year 5138, 10^11 ms is in March 1973.
const FIRST_MILLISECONDS: u128 = 100_000_000_000;

/// The last year of [`Timestamp`], which does not have all instants of its last day.
const LAST_YEAR: i16 = 9999;

/// US dates, with a 12-hour or 24-hour clock.
const US_FORMS: [&str; 5] = [
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
];

/// Reads a trimmed text in any of the forms.
pub(super) fn text(text: &str) -> Option<Timestamp> {
    // No form is longer, except with a zone's name in brackets.
    if text.len() > 100 {
        return None;
    }
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        8 if is_digits => return utc(date(text)?.at(0, 0, 0, 0)),
        14 if is_digits => return utc(date(&text[..8])?.to_datetime(clock(&text[8..])?)),
        _ if is_digits => return unix(text),
        _ => {}
    }
    iso(text)
        .or_else(|| unix(text))
        .or_else(|| microsoft(text))
        .or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
        .or_else(|| american(text))
}

/// Reads the digits of a Unix time, with or without a fraction or an exponent.
pub(super) fn unix(digits: &str) -> Option<Timestamp> {
    let positive = digits.strip_prefix('-').unwrap_or(digits);
    let (whole, fraction) = positive.split_once('.').unwrap_or((positive, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 30 || !is_plain(whole) || !is_plain(fraction) {
        return with_exponent(digits);
    }
    let whole: u128 = whole.parse().ok()?;
    // Number of decimal places to a nanosecond.
    let places = match whole {
        _ if whole < FIRST_MILLISECONDS => 9,
        _ if whole < FIRST_MILLISECONDS * 1_000 => 6,
        _ if whole < FIRST_MILLISECONDS * 1_000_000 => 3,
        _ => 0,
    };
    // The digits of the fraction up to a nanosecond, filled up with zeros.
    let mut digits_of_fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(places);
    let nanoseconds = digits_of_fraction.try_fold(whole, |number, digit| {
        number.checked_mul(10)?.checked_add(u128::from(digit - b'0'))
    })?;
    let sign = if digits.starts_with('-') { -1 } else { 1 };
    Timestamp::from_nanosecond(sign * i128::try_from(nanoseconds).ok()?).ok()
}

/// Reads a Unix time in floating-point notation: `1.7356464e9`.
fn with_exponent(digits: &str) -> Option<Timestamp> {
    if !digits.contains(['e', 'E']) || digits.starts_with(|c: char| !c.is_ascii_digit() && c != '-') {
        return None;
    }
    let is_number = !digits.contains(|c: char| c.is_alphabetic() && c != 'e' && c != 'E');
    let number: f64 = digits.parse().ok()?;
    (is_number && number.abs() < 1e20).then(|| unix(&format!("{number:.6}")))?
}

/// Reads RFC 3339 and ISO 8601, also with a space before the offset, and with `UTC` or `GMT` as offset.
fn iso(text: &str) -> Option<Timestamp> {
    let compact;
    let text = match split_zone(text) {
        Some((local, "UTC" | "GMT" | "Z")) => return utc(local.parse::<DateTime>().ok()?),
        Some((local, offset)) => {
            compact = format!("{local}{offset}");
            compact.as_str()
        }
        None => text,
    };
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return utc(local);
    }
    // `9999-12-31T23:59:59Z` is later than any `Timestamp`.
    let pieces = Pieces::parse(text).ok()?;
    (pieces.offset().is_some() && pieces.date().year() == LAST_YEAR).then_some(Timestamp::MAX)
}

/// Splits `2024-12-31 12:00:00 +00:00` at its last space into time and offset.
fn split_zone(text: &str) -> Option<(&str, &str)> {
    let (local, zone) = text.rsplit_once(' ')?;
    let is_zone = zone.starts_with(['+', '-']) || matches!(zone, "UTC" | "GMT" | "Z");
    is_zone.then_some((local.trim_end(), zone))
}

/// Reads `/Date(1735646400000+0100)/`: milliseconds in UTC; the offset has no influence.
fn microsoft(text: &str) -> Option<Timestamp> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let sign_at = inner.rfind(['+', '-']).filter(|at| *at > 0);
    let (milliseconds, offset) = inner.split_at(sign_at.unwrap_or(inner.len()));
    let is_offset = offset.is_empty() || offset.len() == 5 && offset[1..].bytes().all(|byte| byte.is_ascii_digit());
    is_offset.then_some(())?;
    Timestamp::from_millisecond(milliseconds.parse().ok()?).ok()
}

fn american(text: &str) -> Option<Timestamp> {
    // A date alone is its midnight.
    let local = |form| strtime::parse(form, text).ok()?.to_datetime().ok();
    US_FORMS.into_iter().find_map(local).and_then(utc)
}

/// Reads a date: `20241231`.
fn date(digits: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let part = |range| i8::try_from(number(range)?).ok();
    Date::new(number(0..4)?, part(4..6)?, part(6..8)?).ok()
}

/// Reads a time: `120000`.
fn clock(digits: &str) -> Option<Time> {
    let part = |at: usize| digits.get(at..at + 2)?.parse::<i8>().ok();
    Time::new(part(0)?, part(2)?, part(4)?, 0).ok()
}

fn utc(local: DateTime) -> Option<Timestamp> {
    let timestamp = TimeZone::UTC.to_timestamp(local).ok();
    timestamp.or_else(|| (local.year() == LAST_YEAR).then_some(Timestamp::MAX))
}
