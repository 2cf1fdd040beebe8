//! The part of a failure that is written down.

use crate::category::Category;
use crate::redaction::{redact_text, truncate_error};

/// Describes why one message failed. Its text is redacted, so it is safe to store and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Decides to which topic the message goes.
    pub category: Category,
    message: String,
    /// Status of the HTTP response, if there was one.
    pub http_status: Option<u16>,
}

impl Problem {
    /// Returns a problem with this text, redacted and at most 500 characters long.
    ///
    /// A blank text is replaced, since a dead letter without a reason cannot be decoded.
    #[must_use]
    pub fn new(category: Category, message: impl AsRef<str>) -> Self {
        let redacted = redact_text(message.as_ref());
        let text = match redacted.trim() {
            "" => "the failure came without a text",
            text => text,
        };
        Self {
            category,
            message: truncate_error(text),
            http_status: None,
        }
    }

    /// Adds the status of the HTTP response.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Returns the redacted text, at most 500 characters.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
