//! Any JSON with a planted secret: it is removed, and nothing else is lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

use xact_contracts::redaction::redact_json;
use xact_fuzz::SECRET;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let mut redacted = value.clone();
    redact_json(&mut redacted);
    assert_eq!(leaves(&redacted), leaves(&value));
    let mut again = redacted.clone();
    redact_json(&mut again);
    assert_eq!(again, redacted);
    let (before, after) = (value.to_string(), redacted.to_string());
    assert!(
        after.len() <= 3 * before.len() + 20,
        "{} of {}",
        after.len(),
        before.len()
    );
    assert_eq!(serde_json::from_str::<Value>(&after).ok(), Some(redacted));

    let text = before;
    let url = format!("https://h.example/a?sig={SECRET}");
    let mut planted = json!({
        "value": value,
        "client_secret": SECRET,
        "text": format!("{text} {url}"),
        "inner": json!({"url": url, "next": text}).to_string(),
        format!("{text} {url}"): 1,
    });
    redact_json(&mut planted);
    assert!(!planted.to_string().contains(SECRET), "{planted}");
});

/// How many values a tree has: redaction changes texts and loses none.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(fields) => fields.values().map(leaves).sum(),
        _ => 1,
    }
}
