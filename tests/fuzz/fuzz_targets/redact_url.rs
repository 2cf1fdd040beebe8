//! Any text as one URL: query, fragment and user are removed, and the rest can be stored.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::redaction::redact_url;
use xact_fuzz::{SECRET, halves};

fuzz_target!(|text: &str| {
    let redacted = redact_url(text);
    assert_eq!(redact_url(&redacted), redacted);
    assert_eq!(redacted.trim().is_empty(), text.trim().is_empty(), "{text:?}");
    assert!(redacted.len() <= 3 * text.len() + 20);
    assert!(!redacted.contains(['?', '#']), "{redacted:?}");

    let (before, after) = halves(text);
    for url in [
        format!("https://h.example/{before}?sig={SECRET}{after}"),
        format!("https://h.example/{before}#{SECRET}{after}"),
        format!("https://{SECRET}@h.example/{after}"),
        format!("https://user:{SECRET}@h.example/{after}"),
        format!("{before}?{SECRET}{after}"),
    ] {
        let redacted = redact_url(&url);
        assert!(!redacted.contains(SECRET), "{url:?} -> {redacted:?}");
    }
});
