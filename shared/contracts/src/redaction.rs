//! Keeps signatures, tokens and keys out of everything that is written down: logs, tables, dead letters.
//!
//! A presigned URL is a credential until it expires, and HTTP and storage errors like to quote it.
//! These functions work on text, not on parsed values: what is to be redacted is often broken or nested.
//! When in doubt they take away too much.

mod secrets;
mod urls;

pub(crate) use secrets::is_secret_name;
use std::collections::HashMap;

use serde_json::Value;

use secrets::{scrub_bearer, scrub_secrets};
use urls::{strip_url, strip_urls};

pub(crate) const REDACTED: &str = "[redacted]";

/// Honest texts need two rounds, the second of which changes nothing. One that needs more than this is made to, and goes
/// as a whole.
const MAX_ROUNDS: usize = 5;

/// The longest error text that a message or a table holds, in characters.
pub const MAX_ERROR_CHARS: usize = 500;

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

/// Every string of a JSON tree, names included, as [`redact_text`] has it; the text of a field with a secret's name
/// (`"client_secret"`) goes whole.
pub fn redact_json(value: &mut Value) {
    match value {
        Value::String(text) => redact_in_place(text),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if !text.is_empty() && is_secret_name(name) => REDACTED.clone_into(text),
                    value => redact_json(value),
                }
            }
            let secret_names: Vec<String> = fields
                .keys()
                .filter(|name| redact_text(name) != **name)
                .cloned()
                .collect();
            // Two names may be one without their signatures; neither value is to be lost.
            let mut seen: HashMap<String, u64> = HashMap::new();
            for name in secret_names {
                if let Some(value) = fields.remove(&name) {
                    let public = redact_text(&name);
                    let count = seen.entry(public.clone()).or_insert(1);
                    let mut free = public.clone();
                    // The count goes on from where it was: with thousands of such names the search must not begin anew.
                    // In front, since a name may end in a secret, of which it would become a part.
                    while fields.contains_key(&free) {
                        *count += 1;
                        free = format!("({count}) {public}");
                    }
                    fields.insert(free, value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An error text as messages and tables hold it: at most 500 characters, a longer one as 497 and `...`.
///
/// Redact first: what is cut in the middle is no longer recognised.
#[must_use]
pub fn truncate_error(text: &str) -> String {
    if text.chars().count() <= MAX_ERROR_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_ERROR_CHARS - 3).chain("...".chars()).collect()
}

fn redact_in_place(text: &mut String) {
    let redacted = redact_text(text);
    if redacted != *text {
        *text = redacted;
    }
}
