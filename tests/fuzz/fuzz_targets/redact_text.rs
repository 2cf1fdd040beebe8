//! Any text around a planted secret: the secret is removed, and redacting again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::redaction::redact_text;
use xact_fuzz::{SECRET, halves};

/// What may stand before a secret.
const PLANTS: &str = r#"
    https://h.example/a.pdf?x= https://h.example/a.pdf?a=b&sig= https://h.example/a.pdf# https://user: sig= &Signature=
    https://h.example/a?X-Amz-Date=1&X-Amz-Signature= X-Amz-Security-Token= ;SharedAccessKey= ;AccountKey=
    client_secret= {"client_secret":" {\"access_token\":\" sig%3D <SignatureProvided>
"#;

fuzz_target!(|text: &str| {
    let redacted = redact_text(text);
    assert!(
        redacted.len() <= 3 * text.len() + 20,
        "{} of {}",
        redacted.len(),
        text.len()
    );
    assert_eq!(redact_text(&redacted), redacted);

    let (before, after) = halves(text);
    for plant in PLANTS.split_whitespace().chain(["Bearer "]) {
        let user = if plant.ends_with("user:") { "@h.example/a" } else { "" };
        let planted = format!("{before} {plant}{SECRET}{user}{after}");
        let redacted = redact_text(&planted);
        assert!(!redacted.contains(SECRET), "{planted:?} -> {redacted:?}");
    }
});
