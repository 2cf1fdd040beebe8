//! Any JSON value or text as a timestamp.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use xact_contracts::time::{format, parse, parse_text, to_microseconds, utc_date};

fuzz_target!(|text: &str| {
    if let Some(timestamp) = parse_text(text) {
        stable(timestamp);
    }
    if let Some(timestamp) = serde_json::from_str::<Value>(text).ok().and_then(|value| parse(&value)) {
        stable(timestamp);
    }
    if let Some(bits) = text.as_bytes().first_chunk() {
        let number = f64::from_le_bytes(*bits);
        if let Some(timestamp) = parse(&number.into()) {
            stable(timestamp);
        }
    }
});

fn stable(timestamp: Timestamp) {
    assert_eq!(to_microseconds(timestamp), timestamp);
    assert!((1..=9999).contains(&utc_date(timestamp).year()), "{timestamp}");
    let text = format(timestamp);
    assert_eq!(text.len(), "2024-12-31T12:00:00.000000Z".len(), "{text}");
    assert_eq!(parse_text(&text), Some(timestamp));
    assert_eq!(parse(&Value::String(text)), Some(timestamp));
}
