//! The text of a message, made ready for a parser.

use std::borrow::Cow;

use super::limits::{MAX_VALUES, has_too_many_values};
use super::surrogates;

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Returns the text of a JSON message for a parser: without byte order mark (RFC 8259, section 8.1, allows readers to skip
/// it), and with U+FFFD for each lone surrogate.
///
/// # Errors
/// If it is not UTF-8, or has more than [`MAX_VALUES`] values.
pub fn readable(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = as_written(bytes)?;
    if has_too_many_values(text) {
        return Err(format!("it holds more than {MAX_VALUES} values"));
    }
    Ok(surrogates::without_lone_ones(text))
}

/// Returns the text of a JSON message as it is written, without byte order mark.
///
/// # Errors
/// If it is not UTF-8.
pub fn as_written(bytes: &[u8]) -> Result<&str, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 at byte {}", error.valid_up_to()))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}
