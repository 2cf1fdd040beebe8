//! Files in the cache folder: written as a part of one attempt, complete once they are renamed.
//!
//! The note beside a file holds what a redelivered task needs to know. It is renamed into place before the file, so a
//! complete file always has one.
//!
//! An attempt takes what it wrote with it when it fails or is given up. What a killed process left goes with the next
//! failure of its attachment, with the upload of its file, or with the janitor. All of them may meet an attempt that
//! still runs, in a process that was taken for dead: it finds its part gone and begins anew.
//!
//! The volume is shared, and whoever else writes there may plant links: everything below the cache folder is opened as
//! seen from there, so that no link leads a write outside.

use crate::volume;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use contracts::cache_path::{self, FILE, NOTE, PART_SUFFIX};
use jiff::Timestamp;
use runtime::Unavailable;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// What is known of a complete file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cached {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) content_type: Option<String>,
    #[serde(with = "contracts::time")]
    pub(crate) downloaded_at: Timestamp,
}

/// The cache folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "CACHE_DIR {path} cannot be written: {error}; check that the volume is mounted, has space, and that this process may write there"
)]
pub(crate) struct CacheError {
    path: String,
    error: io::Error,
}

impl CacheError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self {
            path: path.display().to_string(),
            error,
        }
    }
}

/// The cache folder.
pub(crate) struct Cache {
    root: PathBuf,
    /// One lock per attachment that is being worked on.
    busy: Arc<Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>>,
    /// When the volume was last seen to have room.
    had_room: Mutex<Option<Instant>>,
}

/// So long the answer to the question whether the volume has room stays good.
const ROOM_FOR: Duration = Duration::from_millis(250);

impl Cache {
    /// Makes the folder if it is missing, and tries to write there.
    pub(crate) fn open(root: &Path) -> Result<Self, CacheError> {
        std::fs::create_dir_all(root).map_err(CacheError::of(root))?;
        let probe = root.join(format!(".probe-{}", Uuid::new_v4()));
        std::fs::write(&probe, b"probe")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(CacheError::of(root))?;
        Ok(Self {
            root: root.to_owned(),
            busy: Arc::default(),
            had_room: Mutex::default(),
        })
    }

    /// Pauses when the volume is too full.
    pub(crate) async fn check_volume(&self) -> Result<(), Unavailable> {
        let had_room = || self.had_room.lock().unwrap_or_else(PoisonError::into_inner);
        if had_room().is_some_and(|at| at.elapsed() < ROOM_FOR) {
            return Ok(());
        }
        let root = self.root.clone();
        // Asking a share that hangs would hang the thread.
        tokio::task::spawn_blocking(move || volume::check(&root))
            .await
            .map_err(|error| Unavailable::new("cache volume", error.to_string()))??;
        *had_room() = Some(Instant::now());
        Ok(())
    }

    /// The place of an attachment; waits while another task of this process works on it.
    pub(crate) async fn slot(&self, media_id: Uuid) -> Slot {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(busy.entry(media_id).or_default())
        };
        Slot {
            root: self.root.clone(),
            folder: cache_path::folder(media_id).into(),
            media_id,
            _turn: Turn {
                media_id,
                busy: Arc::clone(&self.busy),
                guard: Some(lock.lock_owned().await),
            },
        }
    }
}

/// Holds an attachment's lock, and forgets it when nobody else waits.
struct Turn {
    media_id: Uuid,
    busy: Arc<Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.guard.take());
        // Only the map itself still knows the lock: whoever waits holds another reference.
        if busy
            .get(&self.media_id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            busy.remove(&self.media_id);
        }
    }
}

/// An attachment's place in the cache, for one task alone.
pub(crate) struct Slot {
    root: PathBuf,
    /// Below the root, like all paths here.
    folder: PathBuf,
    media_id: Uuid,
    _turn: Turn,
}

impl Slot {
    /// The complete file of an earlier attempt, if it is there with the size in its note.
    pub(crate) async fn finished(&self) -> Option<Cached> {
        let folder = self.folder.clone();
        self.on_volume(move |cache| {
            let note = cache.read(folder.join(NOTE)).ok()?;
            let cached: Cached = serde_json::from_slice(&note).ok()?;
            let file = cache.symlink_metadata(folder.join(FILE)).ok()?;
            (file.is_file() && file.len() == cached.bytes).then_some(cached)
        })
        .await?
    }

    /// Works where it may block; `None` if there is no cache folder, or the process ends.
    async fn on_volume<T: Send + 'static>(&self, work: impl FnOnce(&Dir) -> T + Send + 'static) -> Option<T> {
        let root = self.root.clone();
        let look = move || Some(work(&Dir::open_ambient_dir(root, ambient_authority()).ok()?));
        tokio::task::spawn_blocking(look).await.ok()?
    }

    /// Begins a new file. Nothing is on the volume yet.
    pub(crate) fn begin(&self) -> Part {
        let name = format!("{}-{}{PART_SUFFIX}", Uuid::new_v4().simple(), self.media_id);
        let part = self.folder.join(name);
        Part {
            draft: Some(Draft {
                root: self.root.clone(),
                open: None,
                note: part.with_extension(NOTE_SUFFIX),
                part,
                folder: self.folder.clone(),
                is_moved: false,
            }),
            buffer: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Removes what attempts left behind, in killed processes too. A complete file stays, with its note: its message is
    /// on its way. The folder goes if it is empty then.
    pub(crate) async fn clear_attempts(&self) {
        let folder = self.folder.clone();
        self.on_volume(move |cache| {
            let is_complete = cache.symlink_metadata(folder.join(FILE)).is_ok();
            for entry in cache.read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_attempt = name.ends_with(PART_SUFFIX) || name.ends_with(&format!(".{NOTE_SUFFIX}"));
                if is_attempt || (name == NOTE && !is_complete) {
                    let _ = entry.remove_file();
                }
            }
            // Fails, as it should, when something is in it.
            let _ = cache.remove_dir(&folder);
        })
        .await;
    }
}

/// End of the name of a note that is not in its place yet.
const NOTE_SUFFIX: &str = "note";

/// What an attempt has on the volume, until it is in its place. Dropping it removes it: also when the attempt is given up
/// in the middle, because its partition went.
struct Draft {
    root: PathBuf,
    /// The cache folder and the part in it, once there is something to write.
    open: Option<(Dir, File)>,
    part: PathBuf,
    note: PathBuf,
    folder: PathBuf,
    is_moved: bool,
}

impl Draft {
    fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        let (_, file) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(create(&self.root, &self.folder, &self.part)?),
        };
        file.write_all(bytes)
            .map_err(CacheError::of(&self.root.join(&self.part)))
    }

    /// After the first [`Self::append`].
    fn move_into_place(&mut self, cached: &Cached) -> Result<(), CacheError> {
        let Some((cache, file)) = self.open.take() else {
            return Err(CacheError::of(&self.root)(io::Error::other("nothing was written")));
        };
        // Closed before it is renamed: some shares tell only then that a write has failed.
        drop(file);
        let (note, part) = (self.root.join(&self.note), self.root.join(&self.part));
        serde_json::to_vec(cached)
            .map_err(io::Error::from)
            .and_then(|text| cache.write(&self.note, text))
            .and_then(|()| cache.rename(&self.note, &cache, self.folder.join(NOTE)))
            .map_err(CacheError::of(&note))?;
        cache
            .rename(&self.part, &cache, self.folder.join(FILE))
            .map_err(CacheError::of(&part))?;
        self.is_moved = true;
        Ok(())
    }
}

/// Makes the part, and the folders above it.
fn create(root: &Path, folder: &Path, part: &Path) -> Result<(Dir, File), CacheError> {
    let mut tries = 0;
    loop {
        std::fs::create_dir_all(root).map_err(CacheError::of(root))?;
        let created = Dir::open_ambient_dir(root, ambient_authority()).and_then(|cache| {
            cache.create_dir_all(folder).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    io::Error::other("a link or a file is where its folder belongs: remove it")
                }
                _ => error,
            })?;
            let file = cache.open_with(part, OpenOptions::new().write(true).create_new(true))?;
            Ok((cache, file.into_std()))
        });
        match created {
            // Somebody cleared the folder away just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 3 => tries += 1,
            created => return created.map_err(CacheError::of(&root.join(part))),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.is_moved {
            return;
        }
        let paths = [&mut self.root, &mut self.part, &mut self.note, &mut self.folder].map(std::mem::take);
        let remove = move || {
            let [root, part, note, folder] = paths;
            if let Ok(cache) = Dir::open_ambient_dir(root, ambient_authority()) {
                let _ = cache.remove_file(part);
                let _ = cache.remove_file(note);
                let _ = cache.remove_dir(folder);
            }
        };
        // A share that hangs must not hang the thread. Without a runtime the process is at its end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(remove);
        }
    }
}

/// A file that is being written. What comes is collected first: a small file costs one trip to the file threads, and
/// nothing on the volume before it is known to be good.
pub(crate) struct Part {
    /// On its way to the file threads, or gone after an error.
    draft: Option<Draft>,
    buffer: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

/// What is collected before it is written.
const BUFFER_BYTES: usize = 128 * 1024;

impl Part {
    /// Adds bytes.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), CacheError> {
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
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts the complete file in its place.
    pub(crate) async fn finish(mut self, content_type: Option<String>, now: Timestamp) -> Result<Cached, CacheError> {
        let cached = Cached {
            bytes: self.bytes,
            sha256: hex::encode(self.hash.clone().finalize()),
            content_type,
            downloaded_at: contracts::time::to_microseconds(now),
        };
        let buffer = std::mem::take(&mut self.buffer);
        self.on_volume(move |draft| {
            draft.append(&buffer)?;
            draft.move_into_place(&cached)?;
            Ok(cached)
        })
        .await
    }

    /// Works where it may block. The draft goes along: if this attempt is given up meanwhile, it is removed when the
    /// work is over, and not while something is still being written.
    async fn on_volume<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Draft) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, CacheError> {
        let gone = || CacheError {
            path: String::new(),
            error: io::Error::other("the file threads have ended, or an earlier write failed"),
        };
        let mut draft = self.draft.take().ok_or_else(gone)?;
        let worked = tokio::task::spawn_blocking(move || work(&mut draft).map(|done| (done, draft)));
        let (done, draft) = worked.await.map_err(|_| gone())??;
        self.draft = Some(draft);
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(slot: &Slot) -> PathBuf {
        slot.root.join(&slot.folder)
    }

    fn now() -> Timestamp {
        "2025-01-01T00:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_finished_file_is_found_again_and_a_damaged_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        assert_eq!(slot.finished().await, None);
        let mut part = slot.begin();
        part.write(b"hello").await.unwrap();
        let cached = part.finish(None, now()).await.unwrap();
        assert_eq!(
            cached.sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(slot.finished().await, Some(cached));
        std::fs::write(root.path().join(cache_path::file(id)), b"hell").unwrap();
        assert_eq!(slot.finished().await, None);
    }

    #[tokio::test]
    async fn a_second_task_of_the_same_attachment_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(root.path()).unwrap());
        let id = Uuid::new_v4();
        let first = cache.slot(id).await;
        let waiting = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.slot(id).await.finished().await.is_some() }
        });
        let mut part = first.begin();
        part.write(b"x").await.unwrap();
        part.finish(None, now()).await.unwrap();
        drop(first);
        assert!(waiting.await.unwrap(), "it sees what the first has finished");
        assert!(cache.busy.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_failure_clears_what_killed_attempts_left_and_leaves_a_complete_file() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let slot = cache.slot(Uuid::new_v4()).await;
        let leave = || {
            std::fs::create_dir_all(place(&slot)).unwrap();
            for name in ["a-b.part", "a-b.note", NOTE] {
                std::fs::write(place(&slot).join(name), "left by SIGKILL").unwrap();
            }
        };
        leave();
        slot.clear_attempts().await;
        assert!(!place(&slot).exists());

        leave();
        let mut part = slot.begin();
        part.write(b"hello").await.unwrap();
        let cached = part.finish(None, now()).await.unwrap();
        slot.clear_attempts().await;
        assert_eq!(slot.finished().await, Some(cached), "its message is on its way");
        assert_eq!(std::fs::read_dir(place(&slot)).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_takes_its_part_along() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let slot = cache.slot(Uuid::new_v4()).await;
        let mut part = slot.begin();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        assert!(place(&slot).exists());
        drop(part);
        let gone = async {
            while place(&slot).exists() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), gone)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_attempt_whose_folder_was_cleared_away_fails_and_the_next_one_succeeds() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let slot = cache.slot(Uuid::new_v4()).await;
        let mut part = slot.begin();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        // By the upload of the same file, which another process downloaded while this one was taken for dead.
        std::fs::remove_dir_all(place(&slot)).unwrap();
        assert!(part.finish(None, now()).await.is_err());
        slot.clear_attempts().await;
        assert!(!place(&slot).exists());
        let part = slot.begin();
        assert!(part.finish(None, now()).await.is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(error) = Cache::open(&file.path().join("cache")) else {
            panic!("a file is no folder");
        };
        assert!(error.to_string().contains("check that the volume is mounted"));
    }

    #[tokio::test]
    async fn planted_links_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let link = |target: &Path, at: &Path| {
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, at).unwrap();
        };
        let download = async |slot: &Slot| {
            let mut part = slot.begin();
            part.write(b"hello").await?;
            part.finish(None, now()).await
        };

        // The attachment's folder, and the folder above it, lead outside: nothing is written there.
        let slot = cache.slot(Uuid::new_v4()).await;
        link(outside.path(), &place(&slot));
        let error = download(&slot).await.unwrap_err().to_string();
        assert!(error.contains("CACHE_DIR") && error.contains("a link"), "{error}");
        let slot = cache.slot(Uuid::new_v4()).await;
        link(outside.path(), place(&slot).parent().unwrap());
        assert!(download(&slot).await.is_err());
        slot.clear_attempts().await;
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);

        // A file and a note that are links are replaced, and what they named stays.
        let slot = cache.slot(Uuid::new_v4()).await;
        for name in [FILE, NOTE] {
            link(&victim, &place(&slot).join(name));
        }
        assert_eq!(slot.finished().await, None);
        let cached = download(&slot).await.unwrap();
        assert_eq!(slot.finished().await, Some(cached));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    }
}
