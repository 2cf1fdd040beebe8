//! A file that is being written: a part of one attempt, renamed once it is complete.
//!
//! An attempt removes its part when it fails or is given up. The part of a killed process is removed by the janitor, which
//! may meet an attempt that still runs in a process that was taken for dead: its rename fails then, and the task is
//! delivered again.
//!
//! Nothing is synced. A killed process loses nothing: what it wrote is the kernel's, and on a share the close sends it to
//! the server before the rename. A write error that the close does not report leaves a file that does not have the size
//! and the hash in its message, and the upload stage asks for another download.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::folders::{Folders, MissingShard};
use crate::{CacheError, Cached, Kind, note};
use xact_contracts::cache_path;

/// What is collected before it is written.
const BUFFER_BYTES: usize = 128 * 1024;

/// A file that is being written. What comes is collected first: a small file costs one trip to the file threads and one
/// write, and nothing is on the volume before it is known to be good.
pub struct Part {
    /// On its way to the file threads, or gone after an error.
    draft: Option<Draft>,
    buffer: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

impl Part {
    pub(crate) fn new(folders: Arc<Folders>, media_id: Uuid) -> Self {
        Self {
            draft: Some(Draft {
                folders,
                media_id,
                name: cache_path::part_name(media_id, Uuid::new_v4()),
                written: None,
            }),
            buffer: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the volume does not take them. The part is given up then.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), CacheError> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.buffer = self
            .on_volume(move |draft| {
                draft.append(&buffer)?;
                buffer.clear();
                Ok(buffer)
            })
            .await?;
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts the complete file in its place.
    ///
    /// # Errors
    /// When the volume does not take it.
    pub async fn finish(mut self, kind: Kind, now: Timestamp) -> Result<Cached, CacheError> {
        let cached = Cached {
            bytes: self.bytes,
            sha256: hex::encode(self.hash.clone().finalize()),
            kind,
            downloaded_at: xact_contracts::time::to_microseconds(now),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        self.on_volume(move |draft| {
            buffer.extend(note::encode(&cached)?);
            draft.append(&buffer)?;
            draft.move_into_place()?;
            Ok(cached)
        })
        .await
    }

    /// Removes what is on the volume. A part that is dropped is removed as well, but in the background.
    pub async fn discard(mut self) {
        if let Some(mut draft) = self.draft.take().filter(|draft| draft.written.is_some()) {
            // Only fails when the process ends.
            let _ = tokio::task::spawn_blocking(move || draft.remove()).await;
        }
    }

    /// Works where it may block. The draft goes along: if this attempt is given up meanwhile, its part is removed once the
    /// work is over, and not while something is still being written.
    async fn on_volume<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Draft) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        let gone = || {
            let error = io::Error::other("the file threads have ended, or an earlier write failed");
            CacheError::new("".as_ref(), error)
        };
        let mut draft = self.draft.take().ok_or_else(gone)?;
        let worked = tokio::task::spawn_blocking(move || match work(&mut draft) {
            Ok(done) => Ok((done, draft)),
            Err(error) => {
                draft.remove();
                Err(CacheError::new(&draft.path(), error))
            }
        });
        let (done, draft) = worked.await.map_err(|_| gone())??;
        self.draft = Some(draft);
        Ok(done)
    }
}

/// What an attempt has on the volume. Dropping it removes it, unless it was moved into its place: also when the attempt is
/// given up in the middle, because its partition was revoked.
struct Draft {
    folders: Arc<Folders>,
    media_id: Uuid,
    /// Name of the part in its shard.
    name: String,
    /// The shard and the part, once there is something to write.
    written: Option<Written>,
}

struct Written {
    shard: Arc<Dir>,
    /// Until it is complete.
    part: Option<File>,
}

impl Written {
    fn remove(self, name: &str) {
        drop(self.part);
        let _ = self.shard.remove_file(name);
    }
}

impl Draft {
    fn path(&self) -> std::path::PathBuf {
        let shard = self.folders.path().join(cache_path::shard(self.media_id));
        shard.join(&self.name)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match &mut self.written {
            Some(written) => written,
            None => self
                .written
                .insert(self.folders.in_shard(self.media_id, MissingShard::Create, |shard| {
                    let mut options = OpenOptions::new();
                    let part = shard.open_with(&self.name, options.write(true).create_new(true))?;
                    Ok(Written {
                        shard: Arc::clone(shard),
                        part: Some(part.into_std()),
                    })
                })?),
        };
        match &mut written.part {
            Some(part) => part.write_all(bytes),
            None => Err(io::Error::other("the part is complete")),
        }
    }

    /// After the first [`Self::append`].
    fn move_into_place(&mut self) -> io::Result<()> {
        let Some(written) = &mut self.written else {
            return Err(io::Error::other("nothing was written"));
        };
        // Closed before it is renamed: on a share, the close sends what was written.
        drop(written.part.take());
        let shard = &written.shard;
        shard.rename(&self.name, shard, cache_path::file_name(self.media_id))?;
        self.written = None;
        Ok(())
    }

    /// Removes the part, if one was written. Best effort: the janitor removes what stays.
    fn remove(&mut self) {
        if let Some(written) = self.written.take() {
            written.remove(&self.name);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(written) = self.written.take() else {
            return;
        };
        // A share that hangs must not hang the thread. Without a runtime the process is at its end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let name = std::mem::take(&mut self.name);
            runtime.spawn_blocking(move || written.remove(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::*;
    use crate::Cache;

    fn now() -> Timestamp {
        "2025-01-01T00:00:00Z".parse().unwrap()
    }

    fn files(root: &Path, media_id: Uuid) -> Vec<PathBuf> {
        let shard = std::fs::read_dir(root.join(cache_path::shard(media_id)));
        shard.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits until the shard holds nothing: a part is removed in the background.
    async fn wait_empty(root: &Path, media_id: Uuid) {
        let empty = async {
            while !files(root, media_id).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), empty).await.unwrap();
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_removes_its_part() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let mut part = cache.slot(id).await.begin();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        let [written] = &files(root.path(), id)[..] else {
            panic!("it has one part");
        };
        assert_eq!(
            cache_path::kind(written.file_name().unwrap().to_str().unwrap()),
            Some(cache_path::Kind::Part)
        );
        drop(part);
        wait_empty(root.path(), id).await;
    }

    #[tokio::test]
    async fn a_part_that_was_not_finished_is_never_taken_for_a_whole_file() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        let mut part = slot.begin();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        // A killed process runs no destructor.
        std::mem::forget(part);
        assert_eq!(slot.finished().await, None);
        // The next attempt is not in its way, and finishes a file of its own.
        let mut part = slot.begin();
        part.write(b"hello").await.unwrap();
        let cached = part.finish(Kind::default(), now()).await.unwrap();
        assert_eq!(slot.finished().await, Some(cached));
    }

    #[tokio::test]
    async fn a_large_file_is_written_piece_by_piece() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        let mut part = slot.begin();
        let piece = [7; BUFFER_BYTES / 2 + 1];
        for _ in 0..5 {
            part.write(&piece).await.unwrap();
        }
        let kind = Kind {
            content_type: Some("image/png".to_owned()),
            ..Kind::default()
        };
        let cached = part.finish(kind, now()).await.unwrap();
        assert_eq!(cached.bytes, 5 * piece.len() as u64);
        assert_eq!(slot.finished().await.as_ref(), Some(&cached));
        let whole = std::fs::read(root.path().join(cache_path::file(id))).unwrap();
        let (content, _) = whole.split_at(5 * piece.len());
        assert_eq!(hex::encode(Sha256::digest(content)), cached.sha256);
        assert_eq!(files(root.path(), id).len(), 1);
    }

    #[tokio::test]
    async fn an_attempt_whose_part_was_removed_fails_and_the_next_one_succeeds() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        let mut part = slot.begin();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        // By the janitor, while this process was taken for dead.
        std::fs::remove_dir_all(root.path().join(cache_path::shard(id))).unwrap();
        assert!(part.finish(Kind::default(), now()).await.is_err());
        assert_eq!(files(root.path(), id), Vec::<PathBuf>::new());
        assert!(
            slot.begin().finish(Kind::default(), now()).await.is_ok(),
            "in a shard that is created again"
        );
        assert!(slot.finished().await.is_some());
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_moved_into_its_place_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let in_the_way = root.path().join(cache_path::file(id)).join("not-empty");
        std::fs::create_dir_all(&in_the_way).unwrap();
        let error = cache
            .slot(id)
            .await
            .begin()
            .finish(Kind::default(), now())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("CACHE_DIR"), "{error}");
        assert_eq!(files(root.path(), id).len(), 1);
        std::fs::remove_dir_all(root.path().join(cache_path::file(id))).unwrap();
        assert!(
            cache
                .slot(id)
                .await
                .begin()
                .finish(Kind::default(), now())
                .await
                .is_ok()
        );
    }

    #[test]
    fn a_part_that_outlives_its_runtime_is_dropped_without_harm() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let part = runtime.block_on(async {
            let mut part = cache.slot(Uuid::new_v4()).await.begin();
            part.write(&[0; BUFFER_BYTES]).await.unwrap();
            part
        });
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        // A runtime that has ended still has a handle, and runs nothing any more.
        let _entered = handle.enter();
        drop(part);
    }

    #[test]
    fn a_folder_that_cannot_be_created_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(error) = Cache::create(&file.path().join("cache")) else {
            panic!("a file is not a folder");
        };
        assert!(error.to_string().contains("check that the volume is mounted"));
    }
}
