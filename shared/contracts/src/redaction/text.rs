//! Redaction of free text and of single URLs.

use super::secrets::{REDACTED, scrub_bearer, scrub_secrets};
use super::urls::{strip_url, strip_urls};

/// Honest texts need two rounds, the second of which changes nothing. One that needs more than this is made to, and goes
/// as a whole.
const MAX_ROUNDS: usize = 5;

/// A URL without query, fragment and user information; scheme, host, port and path as they are written.
///
/// Text that is no URL loses the same parts, as far as they can be told apart. Something is always left of it: a message
/// without its URL could not be read.
#[must_use]
pub fn redact_url(url: &str) -> String {
    let redacted = settled(url, |url| scrub_secrets(&strip_url(url)).into_owned());
    let is_lost = redacted.trim().is_empty() && !url.trim().is_empty();
    if is_lost { REDACTED.to_owned() } else { redacted }
}

/// Free text, such as an error message: every URL in it as [`redact_url`] has it, and the values of
/// `sig=…`, `AccountKey=…`, `"client_secret":"…"`, `Bearer …` and their like replaced by `[redacted]`.
#[must_use]
pub fn redact_text(text: &str) -> String {
    settled(text, |text| {
        let stripped = strip_urls(text);
        let without_bearer = scrub_bearer(&stripped);
        scrub_secrets(&without_bearer).into_owned()
    })
}

/// Repeats `redact` until nothing changes any more: what one round takes away may bare what the next one recognises.
fn settled(text: &str, redact: impl Fn(&str) -> String) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let redacted = redact(&text);
        if redacted == text {
            return redacted;
        }
        text = redacted;
    }
    REDACTED.to_owned()
}
