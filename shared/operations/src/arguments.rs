//! Arguments of several requests.

use jiff::Timestamp;

use xact_contracts::time;

/// Parses a point in time: RFC 3339, without a zone in UTC, or a date.
///
/// # Errors
/// When the text is neither.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    time::parse_text(text).ok_or_else(|| "give a time such as 2025-01-31T08:00:00Z, or a date".to_owned())
}
