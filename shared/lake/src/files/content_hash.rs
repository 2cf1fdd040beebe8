//! SHA-256 of a file's content.

use std::io::{self, ErrorKind, Read};

use sha2::{Digest, Sha256};

use crate::files::{Content, FileError};

/// Bytes that are read at a time, so that a file is never in memory as a whole.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Returns the SHA-256 of all bytes of `reader`, in lower-case hex.
///
/// # Errors
/// An error of reading.
pub fn sha256_hex(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(read) => hash.update(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Checks that the bytes that were read from a source are the announced content. To be called before readers get them.
pub(crate) fn check_announced(read: Sha256, content: Content<'_>) -> Result<(), FileError> {
    if hex::encode(read.finalize()) == content.sha256 {
        return Ok(());
    }
    let reason = "its SHA-256 is not the announced one".to_owned();
    Err(FileError::SourceChanged { reason })
}
