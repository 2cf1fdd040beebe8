//! The cause of an error.

use std::error::Error;

/// Returns the innermost cause of an error. The outer errors of HTTP clients only repeat the URL.
#[must_use]
pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
