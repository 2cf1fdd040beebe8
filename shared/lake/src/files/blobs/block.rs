//! Parts of a file in memory: read from the source, and hashed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::files::FileError;
use crate::files::blobs::error::WriteError;

/// The unit in which OneLake bills the body of a write.
pub(crate) const BLOCK_BYTES: u64 = 4 * 1024 * 1024;

/// A part of a file in memory.
pub(super) struct Block {
    pub(super) bytes: Bytes,
    pub(super) md5: [u8; 16],
}

impl Block {
    pub(super) fn of(bytes: Bytes) -> Self {
        Self {
            md5: Md5::digest(&bytes).into(),
            bytes,
        }
    }
}

/// Reads `wanted` bytes from offset `from`, and adds them to the file's hash.
pub(super) async fn read(
    source: &Arc<File>,
    from: u64,
    wanted: u64,
    hash: &Arc<Mutex<Sha256>>,
) -> Result<Block, WriteError> {
    let (source, hash) = (Arc::clone(source), Arc::clone(hash));
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
        source.read_exact_at(&mut bytes, from)?;
        hash.lock().update(&bytes);
        Ok(Block::of(bytes.into()))
    });
    match read.await.map_err(io::Error::other).flatten() {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let reason = format!("it ends before byte {}", from + wanted);
            Err(FileError::SourceChanged { reason }.into())
        }
        read => Ok(read?),
    }
}
