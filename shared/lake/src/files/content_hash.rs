//! The hash of a file's content, by which one file is known for another.

use std::io::{self, ErrorKind, Read};

use sha2::{Digest, Sha256};

/// A file is never in memory whole.
const PIECE_BYTES: usize = 256 * 1024;

/// SHA-256 of all that `reader` gives, in lower-case hex.
///
/// # Errors
/// Those of reading.
pub fn sha256_hex(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(read) => hash.update(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
