//! The cached file of a message: opened for the upload, removed after its result is acknowledged.
//!
//! The content is hashed only while it is uploaded: reading it twice from a share would be billed twice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::folders::{Folders, MissingShard};
use crate::{previous, regular_file};
use xact_contracts::cache_path::{self, Layout};

/// Content up to this size is read when the file is opened: one task on a blocking thread does both.
const IN_MEMORY_BYTES: u64 = 64 * 1024;

/// A file with the announced size.
pub struct CachedFile {
    entry: Entry,
    content: CachedContent,
}

/// The content of a file: as many of its first bytes as the message announces.
#[derive(Clone)]
pub enum CachedContent {
    /// A small one.
    Bytes(Bytes),
    /// Kept open since its size was checked, so that no other file can take its place. The footer follows the content.
    File(Arc<File>),
}

/// Result of [`crate::Cache::open`].
pub enum Lookup {
    /// The file.
    Found(CachedFile),
    /// There is no usable file, and why.
    Unusable(&'static str),
}

impl CachedFile {
    /// Returns the content. The reader checks the hash.
    #[must_use]
    pub fn content(&self) -> CachedContent {
        self.content.clone()
    }

    /// Closes the file at once, and returns a future that removes it.
    ///
    /// It is closed first because thousands of files may wait until the results of their uploads are acknowledged.
    pub fn remove(self) -> impl Future<Output = ()> + Send {
        self.entry.remove()
    }
}

/// The file of an attachment in one of the layouts.
pub(crate) struct Entry {
    folders: Arc<Folders>,
    media_id: Uuid,
    layout: Layout,
}

impl Entry {
    pub(crate) fn new(folders: &Arc<Folders>, media_id: Uuid, layout: Layout) -> Self {
        Self {
            folders: Arc::clone(folders),
            media_id,
            layout,
        }
    }

    pub(crate) async fn look_up(self, bytes: u64) -> io::Result<Lookup> {
        tokio::task::spawn_blocking(move || self.look_up_blocking(bytes))
            .await
            .map_err(io::Error::other)?
    }

    fn look_up_blocking(self, bytes: u64) -> io::Result<Lookup> {
        let (file, length) = match self.open() {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(Lookup::Unusable("it is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lookup::Unusable("it does not exist")),
            Err(error) => return Err(error),
        };
        let has_size = match self.layout {
            // The footer follows.
            Layout::Current => length >= bytes,
            Layout::Previous => length == bytes,
        };
        if has_size {
            let content = content(file, bytes)?;
            return Ok(Lookup::Found(CachedFile { entry: self, content }));
        }
        if let Err(error) = self.unlink() {
            tracing::warn!(media_id = %self.media_id, %error, "a damaged cached file cannot be removed");
        }
        Ok(Lookup::Unusable("it does not have the announced size"))
    }

    fn open(&self) -> io::Result<Option<(File, u64)>> {
        match self.layout {
            Layout::Current => {
                let name = cache_path::file_name(self.media_id);
                let open = |shard: &Arc<_>| regular_file::open(shard, &name);
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

    pub(crate) async fn remove(self) {
        let removed = tokio::task::spawn_blocking(move || match self.unlink() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(media_id = %self.media_id, %error, "a cached file is left to the janitor");
            }
            _ => {}
        });
        // Fails only when the process ends.
        let _ = removed.await;
    }
}

fn content(file: File, bytes: u64) -> io::Result<CachedContent> {
    if bytes > IN_MEMORY_BYTES {
        return Ok(CachedContent::File(Arc::new(file)));
    }
    let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact_at(&mut content, 0)?;
    Ok(CachedContent::Bytes(content.into()))
}

#[cfg(test)]
mod tests;
