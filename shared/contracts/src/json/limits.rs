//! The limit on the number of values in a message.

/// Limits the values of one message, names of fields included. Each takes a hundred bytes or more in memory: a megabyte of
/// `[0],[0],…` would take 128 MB. A real event has a few hundred.
pub const MAX_VALUES: usize = 50_000;

/// Counts the characters outside of strings that may start a value. The parser decides later whether the text is JSON.
pub(super) fn has_too_many_values(json: &str) -> bool {
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
