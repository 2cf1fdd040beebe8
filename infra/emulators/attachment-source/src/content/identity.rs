//! What distinguishes the file of one path from all others: the path as plain ASCII that every format can hold, and a hash.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// The others need no escape in XML, JSON, CSV or a PDF string.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~');

/// The longest path that is embedded whole, in bytes. For the rest of a longer one, the hash has to do.
const MAX_PATH_BYTES: usize = 240;

/// The identity of a path.
pub(super) struct Identity {
    /// The first 64 bits of the path's SHA-256.
    pub(super) hash: u64,
    /// The path percent-encoded, cut to [`MAX_PATH_BYTES`], and the hash: ASCII letters, digits, `/._~%-` and one space.
    pub(super) text: String,
}

impl Identity {
    /// Returns the identity of a percent-decoded path; a missing leading `/` is added.
    pub(super) fn of(path: &str) -> Self {
        let hash = path_hash(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut text = String::from("/");
        for part in utf8_percent_encode(path, ESCAPED) {
            text.push_str(part);
            if text.len() > MAX_PATH_BYTES {
                text.truncate(MAX_PATH_BYTES);
                break;
            }
        }
        text.push_str(&format!(" {hash:016x}"));
        Self { hash, text }
    }
}

/// Returns the first 64 bits of the SHA-256 of a path, with or without its leading `/`.
pub(crate) fn path_hash(path: &str) -> u64 {
    let digest = Sha256::digest(path.strip_prefix('/').unwrap_or(path));
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}
