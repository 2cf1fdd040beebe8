//! Keeps signatures, tokens and keys out of everything that is written down: logs, tables, dead letters.
//!
//! A presigned URL is a credential until it expires, and HTTP and storage errors often quote it. Redaction works on text
//! instead of parsed values, since the text may be broken or nested. If in doubt, it removes too much.
//!
//! | function | input |
//! |---|---|
//! | [`redact_url`] | one URL |
//! | [`redact_text`] | free text, such as an error message |
//! | [`redact_json_text`] | JSON text, of which all else stays byte for byte the same |
//! | [`redact_json`] | a JSON value in memory |

mod json;
mod secrets;
mod text;
mod urls;

pub use json::{redact_json, redact_json_text};
pub use text::{MAX_ERROR_CHARS, redact_text, redact_url, truncate_error};
