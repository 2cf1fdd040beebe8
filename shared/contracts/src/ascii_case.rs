//! Letter case without a copy where none is needed.

use std::borrow::Cow;

/// Returns the text with its ASCII letters in lower case.
pub(crate) fn in_lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}
