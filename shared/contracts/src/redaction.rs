//! Keeps signatures, tokens and keys out of everything that is written down: logs, tables, dead letters.
//!
//! A presigned URL is a credential until it expires, and HTTP and storage errors like to quote it.
//! These functions work on text, not on parsed values: what is to be redacted is often broken or nested.
//! When in doubt they take away too much.

mod secrets;
mod urls;

use secrets::{scrub_bearer, scrub_secrets};
use serde_json::Value;
use urls::{strip_url, strip_urls};

const REDACTED: &str = "[redacted]";

/// The longest error text that a message or a table holds, in characters.
pub const MAX_ERROR_CHARS: usize = 500;

/// A URL without query, fragment and user information; scheme, host, port and path as they are written.
///
/// Text that is no URL loses the same parts, as far as they can be told apart.
#[must_use]
pub fn redact_url(url: &str) -> String {
    scrub_secrets(&strip_url(url)).into_owned()
}

/// Free text, such as an error message: every URL in it as [`redact_url`] has it, and the values of
/// `sig=…`, `AccountKey=…`, `"client_secret":"…"`, `Bearer …` and their like replaced by `[redacted]`.
#[must_use]
pub fn redact_text(text: &str) -> String {
    let stripped = strip_urls(text);
    let without_bearer = scrub_bearer(&stripped);
    scrub_secrets(&without_bearer).into_owned()
}

/// Every string of a JSON tree, names included, as [`redact_text`] has it.
pub fn redact_json(value: &mut Value) {
    match value {
        Value::String(text) => redact_in_place(text),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => {
            fields.values_mut().for_each(redact_json);
            let secret_names: Vec<String> = fields
                .keys()
                .filter(|name| redact_text(name) != **name)
                .cloned()
                .collect();
            for name in secret_names {
                if let Some(value) = fields.remove(&name) {
                    let mut public = redact_text(&name);
                    // Two names may be one without their signatures; neither value is to be lost.
                    while fields.contains_key(&public) {
                        public.push('_');
                    }
                    fields.insert(public, value);
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
