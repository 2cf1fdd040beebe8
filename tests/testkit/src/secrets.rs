//! No secret leaves the topics that must carry it: whatever the pipeline writes in any test is searched for the secrets
//! that the tests plant.
//!
//! A planted secret begins with [`PLANTED`]. Logs are searched when their process ends, answers when they are read,
//! tables and the audit log when they are.

/// What every planted secret begins with.
pub const PLANTED: &str = "PLANTED";

/// A planted signature, as the end of a presigned URL's query.
pub const SIGNED: &str = "X-Amz-Signature=PLANTED5ec4e7";

/// Panics when the text holds a planted secret, and shows where.
pub fn assert_none(what: &str, text: &str) {
    assert_no_bytes(what, text.as_bytes());
}

/// The same for bytes of any kind.
pub fn assert_no_bytes(what: &str, bytes: &[u8]) {
    let found = bytes
        .windows(PLANTED.len())
        .position(|window| window == PLANTED.as_bytes());
    if let Some(at) = found {
        let around = &bytes[at.saturating_sub(300)..bytes.len().min(at + 100)];
        panic!("{what} holds a secret: …{}…", String::from_utf8_lossy(around));
    }
}
