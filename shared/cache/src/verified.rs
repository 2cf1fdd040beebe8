//! The cached file of a message: opened for its upload, removed when it is no longer needed.
//!
//! Its content is hashed once, while it is uploaded: a second read of the share would be billed as well.

use std::fs::File;
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use crate::folders::{Folders, MissingShard};
use crate::{Cache, file, previous};
use xact_contracts::cache_path::{self, Layout};

/// A file that has the announced size, at least.
pub struct CacheFile {
    place: Place,
    /// Open since it was looked at: no other file can take its place.
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
    /// Opens the file of an attachment that is announced with this size.
    ///
    /// # Errors
    /// When the volume does not answer as it should: then nothing is known of the file.
    pub async fn look(&self, media_id: Uuid, layout: Layout, bytes: u64) -> io::Result<Found> {
        let place = self.place(media_id, layout);
        tokio::task::spawn_blocking(move || place.look(bytes))
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
    /// The open file. Its content is its first bytes, as many as the message announces: a note follows them. Whether they
    /// have the announced hash is checked by the reader.
    #[must_use]
    pub fn content(&self) -> Arc<File> {
        Arc::clone(&self.content)
    }

    /// Removes the file once that is waited for: its upload is done, or it is damaged and must not be found by the download
    /// stage, which would take it for finished. It is closed at once: thousands may wait for the acknowledgements of
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
    fn look(self, bytes: u64) -> io::Result<Found> {
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
        Ok(Found::Good(CacheFile {
            place: self,
            content: Arc::new(file),
        }))
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

#[cfg(test)]
mod tests;
