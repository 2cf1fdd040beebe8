//! Parts of a file in memory: read from the source, and hashed.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::files::blobs::error::WriteError;
use crate::files::{FileError, FileSource};

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
    source: &FileSource,
    from: u64,
    wanted: u64,
    hash: &Arc<Mutex<Sha256>>,
) -> Result<Block, WriteError> {
    let read = match source {
        // It is small: hashing it takes less time than handing it to another thread.
        FileSource::Bytes(bytes) => part(bytes, from, wanted).map(|bytes| hashed(bytes, hash)),
        FileSource::File(file) => {
            let (file, hash) = (Arc::clone(file), Arc::clone(hash));
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
                file.read_exact_at(&mut bytes, from)?;
                Ok(hashed(bytes.into(), &hash))
            });
            read.await.map_err(io::Error::other).flatten()
        }
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let reason = format!("it ends before byte {}", from + wanted);
            Err(FileError::SourceChanged { reason }.into())
        }
        read => Ok(read?),
    }
}

fn part(bytes: &Bytes, from: u64, wanted: u64) -> io::Result<Bytes> {
    let place = |offset: u64| usize::try_from(offset).ok().filter(|&offset| offset <= bytes.len());
    let range = place(from).zip(place(from + wanted));
    let (from, to) = range.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(bytes.slice(from..to))
}

fn hashed(bytes: Bytes, hash: &Mutex<Sha256>) -> Block {
    hash.lock().update(&bytes);
    Block::of(bytes)
}
