//! A file that is being written: the part of one attempt, renamed once it is complete.
//!
//! An attempt removes its part when it fails or is cancelled. The janitor removes the parts of killed processes. If it
//! removes one whose process is still alive (it was only suspended), the rename fails and the task is redelivered.
//!
//! Nothing is synced. A killed process loses nothing, because the kernel has what it wrote, and on a share the close sends
//! it to the server before the rename. If the close does not report a write error, the file does not have the size and the
//! hash in its message, and the upload stage requests another download.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::CacheError;
use crate::folders::{Folders, MissingShard};
use crate::footer::{self, ContentKind, FileInfo};
use xact_contracts::{cache_path, time};

/// Bytes that are buffered before they are written.
const BUFFER_BYTES: usize = 128 * 1024;

/// A file that is being written. Writes are buffered: a small file takes one blocking task and one write, and nothing of it
/// is on the volume until it is finished.
pub struct Part {
    /// `None` while a blocking task has it, and after an error.
    file: Option<PartFile>,
    buffer: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

impl Part {
    pub(crate) fn new(folders: Arc<Folders>, media_id: Uuid) -> Self {
        Self {
            file: Some(PartFile {
                folders,
                media_id,
                name: cache_path::part_name(media_id, Uuid::new_v4()),
                open: None,
            }),
            buffer: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the volume cannot be written. The part is removed then.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), CacheError> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.buffer = self
            .on_volume(move |file| {
                file.append(&buffer)?;
                buffer.clear();
                Ok(buffer)
            })
            .await?;
        Ok(())
    }

    /// Returns the number of bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the footer and renames the part to the complete file.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub async fn finish(mut self, kind: ContentKind, now: Timestamp) -> Result<FileInfo, CacheError> {
        let info = FileInfo {
            bytes: self.bytes,
            sha256: hex::encode(self.hash.clone().finalize()),
            kind,
            downloaded_at: time::to_microseconds(now),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        self.on_volume(move |file| {
            buffer.extend(footer::encode(&info)?);
            file.append(&buffer)?;
            file.rename_to_complete()?;
            Ok(info)
        })
        .await
    }

    /// Removes the part from the volume. A dropped part is removed too, but in the background.
    pub async fn discard(mut self) {
        if let Some(mut file) = self.file.take().filter(|file| file.open.is_some()) {
            // Only fails when the process ends.
            let _ = tokio::task::spawn_blocking(move || file.remove()).await;
        }
    }

    /// Runs blocking work, which takes the file along: if the attempt is cancelled meanwhile, the part is removed after the
    /// work has ended, and not during a write.
    async fn on_volume<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut PartFile) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        let gone = || {
            let error = io::Error::other("the process is ending, or an earlier write failed");
            CacheError::new("".as_ref(), error)
        };
        let mut file = self.file.take().ok_or_else(gone)?;
        let worked = tokio::task::spawn_blocking(move || match work(&mut file) {
            Ok(done) => Ok((done, file)),
            Err(error) => {
                file.remove();
                Err(CacheError::new(&file.path(), error))
            }
        });
        let (done, file) = worked.await.map_err(|_| gone())??;
        self.file = Some(file);
        Ok(done)
    }
}

/// The file of an attempt on the volume. Dropping it removes it unless it was renamed, for example when the attempt is
/// cancelled because its partition was revoked.
struct PartFile {
    folders: Arc<Folders>,
    media_id: Uuid,
    /// Name of the part in its shard.
    name: String,
    /// Set from the first write until the rename.
    open: Option<OpenPart>,
}

struct OpenPart {
    shard: Arc<Dir>,
    file: File,
}

impl OpenPart {
    fn remove(self, name: &str) {
        drop(self.file);
        let _ = self.shard.remove_file(name);
    }
}

impl PartFile {
    fn path(&self) -> std::path::PathBuf {
        let shard = self.folders.path().join(cache_path::shard(self.media_id));
        shard.join(&self.name)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self
                .open
                .insert(self.folders.in_shard(self.media_id, MissingShard::Create, |shard| {
                    let mut options = OpenOptions::new();
                    let file = shard.open_with(&self.name, options.write(true).create_new(true))?;
                    Ok(OpenPart {
                        shard: Arc::clone(shard),
                        file: file.into_std(),
                    })
                })?),
        };
        open.file.write_all(bytes)
    }

    /// Renames the part; something must have been appended before.
    fn rename_to_complete(&mut self) -> io::Result<()> {
        let nothing_written = || io::Error::other("nothing was written");
        let OpenPart { shard, file } = self.open.take().ok_or_else(nothing_written)?;
        // On a share, the close sends what was written, so it comes before the rename.
        drop(file);
        let renamed = shard.rename(&self.name, &shard, cache_path::file_name(self.media_id));
        if renamed.is_err() {
            let _ = shard.remove_file(&self.name);
        }
        renamed
    }

    /// Removes the part, if one was written. Best effort: the janitor removes what remains.
    fn remove(&mut self) {
        if let Some(open) = self.open.take() {
            open.remove(&self.name);
        }
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        // In the background, because a share may hang. Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let name = std::mem::take(&mut self.name);
            runtime.spawn_blocking(move || open.remove(&name));
        }
    }
}

#[cfg(test)]
mod tests;
