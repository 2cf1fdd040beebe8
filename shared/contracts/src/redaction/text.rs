//! Redaction of free text and of single URLs, and truncation of what is left.

use super::secrets::{REDACTED, scrub_bearer, scrub_secrets};
use super::urls::{strip_url, strip_urls};

/// Limits the rounds of redaction. Ordinary texts need two, of which the second changes nothing. A text that needs more than
/// this limit is crafted, and is replaced as a whole.
const MAX_ROUNDS: usize = 5;

/// Limits the length of an error text in messages and tables, in characters.
pub const MAX_ERROR_CHARS: usize = 500;

/// Returns a URL without query, fragment and user information; scheme, host, port and path stay as they are written.
///
/// Text that is not a URL loses the same parts, as far as they can be distinguished. The result is never blank, since a
/// message without a URL cannot be decoded.
#[must_use]
pub fn redact_url(url: &str) -> String {
    let redacted = settled(url, |url| scrub_secrets(&strip_url(url)).into_owned());
    let is_lost = redacted.trim().is_empty() && !url.trim().is_empty();
    if is_lost { REDACTED.to_owned() } else { redacted }
}

/// Redacts free text, such as an error message: every URL as [`redact_url`] does, and the values of `sig=…`, `AccountKey=…`,
/// `"client_secret":"…"`, `Bearer …` and similar, which become `[redacted]`.
#[must_use]
pub fn redact_text(text: &str) -> String {
    settled(text, |text| {
        let stripped = strip_urls(text);
        let without_bearer = scrub_bearer(&stripped);
        scrub_secrets(&without_bearer).into_owned()
    })
}

/// Truncates an error text to at most 500 characters: 497 and `...`.
///
/// Redact first: a truncated secret is not recognised.
#[must_use]
pub fn truncate_error(text: &str) -> String {
    if text.chars().count() <= MAX_ERROR_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_ERROR_CHARS - 3).chain("...".chars()).collect()
}

/// Repeats `redact` until nothing changes: removing one part may expose another.
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
