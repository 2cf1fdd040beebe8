//! Error texts of bounded length.

/// The longest error text that a message or a table holds, in characters.
pub const MAX_ERROR_CHARS: usize = 500;

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
