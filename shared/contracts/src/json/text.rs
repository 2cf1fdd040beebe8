//! The text of a message, made ready for a parser.

use std::borrow::Cow;

use super::surrogates;

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Limits the values of one message, names of fields included. Each takes a hundred bytes or more in memory: a megabyte of
/// `[0],[0],…` would take 128 MB. A real event has a few hundred.
pub const MAX_VALUES: usize = 50_000;

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

/// Counts the characters outside of strings that may start a value. The parser decides later whether the text is JSON.
fn has_too_many_values(json: &str) -> bool {
    // Most messages are too short for this many values.
    if json.len() <= MAX_VALUES {
        return false;
    }
    let (mut values, mut in_string, mut is_escaped) = (0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}
