//! Messages that fit the broker: one that is too large is cut where it is long, for otherwise it would block its
//! partition for ever. Where a dead letter was cut, its source says where the whole message is.

use serde::Serialize;
use serde_json::Value;

use xact_contracts::markers;

/// Largest value that we produce, in bytes: Event Hubs Standard accepts 1 MB with key and headers.
pub const MAX_VALUE_BYTES: usize = 1_000_000 - 16 * 1024;

/// Longest key in bytes. It is sent as a header too; the ids that sources use are a fraction of this.
pub(crate) const MAX_KEY_BYTES: usize = 4 * 1024;

/// Longest strings tried, from generous to mean. JSON writes a control character with six bytes.
const LENGTHS: [usize; 4] = [MAX_VALUE_BYTES / 8, 32 * 1024, 4 * 1024, 256];

/// The message as JSON of at most [`MAX_VALUE_BYTES`], its long strings cut if need be.
pub(crate) fn into_limit<M: Serialize>(message: &M) -> Vec<u8> {
    let whole = xact_contracts::messages::encode(message);
    if whole.len() <= MAX_VALUE_BYTES {
        return whole;
    }
    let Ok(value) = serde_json::to_value(message) else {
        return whole;
    };
    for length in LENGTHS {
        let mut value = value.clone();
        shorten(&mut value, length);
        let bytes = value.to_string().into_bytes();
        if bytes.len() <= MAX_VALUE_BYTES {
            return bytes;
        }
    }
    // Not strings but a mass of notes made it large: they are the only part that may have any number of entries.
    let mut value = value;
    shorten(&mut value, LENGTHS[3]);
    for task in ["/metadata", "/original_task/metadata"] {
        if let Some(notes) = value.pointer_mut(task) {
            *notes = Value::Object(serde_json::Map::new());
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
