//! What makes a file its path's own: the path as plain ASCII that every format can carry, and its hash.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What stays as it is: nothing that XML, JSON, CSV or a PDF string would have to escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~');

/// The longest path text that is embedded, in bytes. The hash stands for the rest.
const LONGEST_TEXT: usize = 240;

/// A path as it appears inside its file.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The first 64 bits of the path's SHA-256.
    pub(super) hash: u64,
    /// The path percent-encoded, cut to [`LONGEST_TEXT`], and the hash: ASCII letters, digits, `/._~%-` and one space.
    pub(super) text: String,
}

impl Identity {
    /// The identity of a percent-decoded path; a missing leading `/` is added.
    pub(super) fn of(path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let hash = path_hash(path);
        let mut text = String::from("/");
        for part in utf8_percent_encode(path, ESCAPED) {
            text.push_str(part);
            if text.len() > LONGEST_TEXT {
                text.truncate(LONGEST_TEXT);
                break;
            }
        }
        text.push_str(&format!(" {hash:016x}"));
        Self { hash, text }
    }
}

/// The first 64 bits of the SHA-256 of a path, with or without its leading `/`.
pub(crate) fn path_hash(path: &str) -> u64 {
    let digest = Sha256::digest(path.strip_prefix('/').unwrap_or(path));
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}
