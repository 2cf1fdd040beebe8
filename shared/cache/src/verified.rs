//! The cached file of a message: checked before it is uploaded, removed when it is no longer needed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use contracts::cache_path::{self, Layout};

use crate::folders::{Folders, MissingShard};
use crate::{Cache, file, previous};

/// A file is never in memory whole.
const PIECE_BYTES: u64 = 256 * 1024;

/// A complete file with the announced size and hash.
pub struct CacheFile {
    place: Place,
    /// Open since it was checked: what is uploaded is what was checked.
    content: Arc<File>,
}

/// What is at a message's path.
pub enum Found {
    /// The file.
    Good(CacheFile),
    /// Nothing, or something else, and what.
    Unusable(&'static str),
}

impl Cache {
    /// Looks at the file of an attachment, and checks its content against its message.
    ///
    /// # Errors
    /// When the volume does not answer as it should: then nothing is known of the file.
    pub async fn look(&self, media_id: Uuid, layout: Layout, bytes: u64, sha256: &str) -> io::Result<Found> {
        let (place, sha256) = (self.place(media_id, layout), sha256.to_ascii_lowercase());
        tokio::task::spawn_blocking(move || place.look(bytes, &sha256))
            .await
            .map_err(io::Error::other)?
    }

    /// Removes the file of an attachment, whether it is there or not, and in the previous layout its folder with all that
    /// attempts left in it. Best effort: the janitor removes what stays.
    pub fn remove(&self, media_id: Uuid, layout: Layout) -> impl Future<Output = ()> + Send + use<> {
        self.place(media_id, layout).remove()
    }

    fn place(&self, media_id: Uuid, layout: Layout) -> Place {
        Place {
            folders: Arc::clone(&self.folders),
            media_id,
            layout,
        }
    }
}

impl CacheFile {
    /// The open file. Its content is its first bytes, as many as the message announces: a note follows them.
    #[must_use]
    pub fn content(&self) -> Arc<File> {
        Arc::clone(&self.content)
    }

    /// Removes the file once that is waited for. It is closed at once: thousands may wait for the acknowledgements of
    /// their results.
    pub fn forget(self) -> impl Future<Output = ()> + Send {
        self.place.remove()
    }
}

/// Where an attachment's file is.
struct Place {
    folders: Arc<Folders>,
    media_id: Uuid,
    layout: Layout,
}

impl Place {
    fn look(self, bytes: u64, sha256: &str) -> io::Result<Found> {
        let (file, length) = match self.open() {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(Found::Unusable("it is no file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Unusable("it is gone")),
            Err(error) => return Err(error),
        };
        let has_size = match self.layout {
            // The note follows.
            Layout::Current => length >= bytes,
            Layout::Previous => length == bytes,
        };
        if !has_size {
            return Ok(self.damaged("its size is not the announced one"));
        }
        match sha256_hex(&file, bytes)? {
            Some(found) if found == sha256 => Ok(Found::Good(CacheFile {
                place: self,
                content: Arc::new(file),
            })),
            Some(_) => Ok(self.damaged("its hash is not the announced one")),
            None => Ok(self.damaged("it became shorter while it was read")),
        }
    }

    fn open(&self) -> io::Result<Option<(File, u64)>> {
        match self.layout {
            Layout::Current => {
                let name = cache_path::file_name(self.media_id);
                let open = |shard: &Arc<_>| file::open(shard, &name);
                self.folders.in_shard(self.media_id, MissingShard::Fail, open)
            }
            Layout::Previous => previous::open(&self.folders, self.media_id),
        }
    }

    fn unlink(&self) -> io::Result<()> {
        match self.layout {
            Layout::Current => {
                let name = cache_path::file_name(self.media_id);
                let remove = |shard: &Arc<cap_std::fs::Dir>| shard.remove_file(&name);
                self.folders.in_shard(self.media_id, MissingShard::Fail, remove)
            }
            Layout::Previous => previous::remove(&self.folders, self.media_id),
        }
    }

    /// A damaged file is removed: the download stage takes a file with its note for finished, and would hand it on again.
    fn damaged(&self, why: &'static str) -> Found {
        if let Err(error) = self.unlink() {
            tracing::warn!(media_id = %self.media_id, %error, "a damaged cached file cannot be removed");
        }
        Found::Unusable(why)
    }

    async fn remove(self) {
        let removed = tokio::task::spawn_blocking(move || match self.unlink() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(media_id = %self.media_id, %error, "a cached file stays until the janitor comes");
            }
            _ => {}
        });
        // Only fails when the process ends.
        let _ = removed.await;
    }
}

/// SHA-256 of the first bytes of a file, in lower-case hex; `None` if it has fewer.
fn sha256_hex(file: &File, bytes: u64) -> io::Result<Option<String>> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; usize::try_from(PIECE_BYTES.min(bytes)).unwrap_or(0)];
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(PIECE_BYTES.min(bytes - at)).unwrap_or(0);
        match file.read_at(&mut piece[..wanted], at) {
            Ok(0) => return Ok(None),
            Ok(read) => {
                hash.update(&piece[..read]);
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hex::encode(hash.finalize())))
}

#[cfg(test)]
mod tests;
