//! Error texts of bounded length.

/// Limits the length of an error text in messages and tables, in characters.
pub const MAX_ERROR_CHARS: usize = 500;

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
