//! Any text as the `Location` of a response: a redirect is subject to the rules of the first URL.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, UrlPolicy, location_text};
use xact_fuzz::{halves, harmless};

fuzz_target!(|text: &str| {
    let (base, location) = halves(text);
    let policy = UrlPolicy::new(DEFAULT_ALLOWED_HOSTS);
    let Ok(base) = policy.check(&format!("https://claimxperience.com/{base}")) else {
        return;
    };
    if let Ok(url) = policy.check_redirect(&base, location) {
        harmless(&url, &policy);
    }
    // Bytes that are not text are percent-encoded one by one.
    let latin: Vec<u8> = location.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    if let Ok(url) = policy.check_redirect(&base, &location_text(&latin)) {
        harmless(&url, &policy);
    }
});
