//! Truncates messages to the size that a broker accepts. One that is too large could never be produced, and would block its
//! partition forever. The source of a truncated dead letter names the record with the whole message.

use serde::Serialize;
use serde_json::Value;

use xact_contracts::markers;

/// Largest value to produce, in bytes: Event Hubs Standard accepts 1 MB with key and headers.
pub(crate) const MAX_VALUE_BYTES: usize = 1_000_000 - 16 * 1024;

/// Longest key in bytes. It is sent as a header too. The sources' ids are much shorter.
pub(crate) const MAX_KEY_BYTES: usize = 4 * 1024;

/// String length limits to try, largest first. JSON encodes a control character with six bytes.
const STRING_LIMITS: [usize; 4] = [MAX_VALUE_BYTES / 8, 32 * 1024, 4 * 1024, 256];

/// Encodes a message as JSON of at most [`MAX_VALUE_BYTES`], with long strings truncated if necessary.
pub(crate) fn encode_within_limit<M: Serialize>(message: &M) -> Vec<u8> {
    let whole = xact_contracts::messages::encode(message);
    if whole.len() <= MAX_VALUE_BYTES {
        return whole;
    }
    let Ok(value) = serde_json::to_value(message) else {
        return whole;
    };
    for length in STRING_LIMITS {
        let mut value = value.clone();
        shorten(&mut value, length);
        let bytes = value.to_string().into_bytes();
        if bytes.len() <= MAX_VALUE_BYTES {
            return bytes;
        }
    }
    // The number of metadata entries makes it too large. No other part of a message is unbounded.
    let mut value = value;
    shorten(&mut value, STRING_LIMITS[3]);
    for task in ["/metadata", "/original_task/metadata"] {
        if let Some(metadata) = value.pointer_mut(task) {
            *metadata = Value::Object(serde_json::Map::new());
        }
    }
    value.to_string().into_bytes()
}

fn shorten(value: &mut Value, length: usize) {
    match value {
        Value::String(text) if text.len() > length => *text = markers::truncate(text, length),
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, length)),
        Value::Object(object) => object.values_mut().for_each(|value| shorten(value, length)),
        _ => {}
    }
}
