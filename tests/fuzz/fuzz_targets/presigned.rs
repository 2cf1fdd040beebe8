//! Any query as the one of a presigned URL.
#![no_main]

use jiff::SignedDuration;
use libfuzzer_sys::fuzz_target;
use url::Url;

use xact_contracts::presigned::{expiry, start};
use xact_contracts::time::{format, parse_text, to_microseconds};

fuzz_target!(|query: &str| {
    let Ok(url) = Url::parse(&format!("https://h.example/a.pdf?{query}")) else {
        return;
    };
    if let Some(start) = start(&url) {
        assert!(!start.is_ahead(start.at) && start.may_be_ahead(start.at));
        assert_eq!(parse_text(&format(start.at)), Some(to_microseconds(start.at)));
    }
    let Some(expiry) = expiry(&url) else {
        return;
    };
    assert!(expiry.is_expired(expiry.expires_at));
    if let Ok(before) = expiry.expires_at.checked_sub(SignedDuration::from_nanos(1)) {
        assert!(!expiry.is_expired(before));
    }
    // The ingester notes it in the task, and the result is to say the same.
    assert_eq!(
        parse_text(&format(expiry.expires_at)),
        Some(to_microseconds(expiry.expires_at))
    );
});
