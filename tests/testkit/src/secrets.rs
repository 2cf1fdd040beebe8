//! Checks that no secret leaves the topics that must carry it: in every test, all output of the pipeline is searched for the
//! secrets that the tests plant.
//!
//! A planted secret begins with [`PLANTED`]. Logs are searched when their process ends; responses, tables and the audit log
//! when they are read.

/// Prefix of every planted secret.
pub const PLANTED: &str = "PLANTED";

/// A planted signature at the end of the query of a presigned URL.
pub const SIGNED: &str = "X-Amz-Signature=PLANTED5ec4e7";

/// Panics when the text contains a planted secret, and prints where.
pub fn assert_none(what: &str, text: &str) {
    assert_no_bytes(what, text.as_bytes());
}

/// Panics when the bytes contain a planted secret.
pub fn assert_no_bytes(what: &str, bytes: &[u8]) {
    let found = bytes
        .windows(PLANTED.len())
        .position(|window| window == PLANTED.as_bytes());
    if let Some(at) = found {
        let around = &bytes[at.saturating_sub(300)..bytes.len().min(at + 100)];
        panic!("{what} holds a secret: …{}…", String::from_utf8_lossy(around));
    }
}
