//! How many values a message may hold.

/// Most values (names of fields included) of one message. In memory each takes a hundred bytes and more: a megabyte of
/// `[0],[0],…` would take 128. A real event has a few hundred.
pub const MAX_VALUES: usize = 50_000;

/// Counts what may begin a value, outside of strings: whether it is JSON at all is the parser's to say.
pub(super) fn has_too_many_values(json: &str) -> bool {
    // Most messages are too short to hold so many.
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
