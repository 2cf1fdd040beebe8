//! An attachment's place in the cache, for one task of this process at a time.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::folders::{Folders, MissingShard};
use crate::{Cache, Cached, Part, file, note, previous};
use xact_contracts::cache_path;

/// One lock per attachment that is being worked on.
#[derive(Default)]
pub(crate) struct Locks {
    busy: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>,
}

impl Cache {
    /// The place of an attachment; waits while another task of this process works on it.
    pub async fn slot(&self, media_id: Uuid) -> Slot {
        let lock = {
            let mut busy = self.locks.busy.lock();
            Arc::clone(busy.entry(media_id).or_default())
        };
        Slot {
            folders: Arc::clone(&self.folders),
            media_id,
            _turn: Turn {
                media_id,
                locks: Arc::clone(&self.locks),
                guard: Some(lock.lock_owned().await),
            },
        }
    }
}

/// Holds an attachment's lock, and forgets it when no other task waits.
struct Turn {
    media_id: Uuid,
    locks: Arc<Locks>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = self.locks.busy.lock();
        drop(self.guard.take());
        // Only the map itself still knows the lock: a task that waits holds another reference.
        if busy
            .get(&self.media_id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            busy.remove(&self.media_id);
        }
    }
}

/// An attachment's place in the cache, for one task alone.
pub struct Slot {
    folders: Arc<Folders>,
    media_id: Uuid,
    _turn: Turn,
}

impl Slot {
    /// The complete file of an earlier attempt, if it is there with the size in its note.
    pub async fn finished(&self) -> Option<Cached> {
        let media_id = self.media_id;
        self.on_volume(move |folders| finished(folders, media_id)).await
    }

    /// The complete file of an earlier attempt in the previous layout, if it is there with the size in its note.
    pub async fn finished_in_previous_layout(&self) -> Option<Cached> {
        let media_id = self.media_id;
        self.on_volume(move |folders| previous::finished(folders, media_id))
            .await
    }

    /// Begins a new file. Nothing is on the volume yet.
    #[must_use]
    pub fn begin(&self) -> Part {
        Part::new(Arc::clone(&self.folders), self.media_id)
    }

    /// Works where it may block. What cannot be looked at is not finished: it is written again, and an error comes back
    /// from there.
    async fn on_volume(
        &self,
        look: impl FnOnce(&Folders) -> io::Result<Option<Cached>> + Send + 'static,
    ) -> Option<Cached> {
        let folders = Arc::clone(&self.folders);
        tokio::task::spawn_blocking(move || look(&folders)).await.ok()?.ok()?
    }
}

fn finished(folders: &Folders, media_id: Uuid) -> io::Result<Option<Cached>> {
    let name = cache_path::file_name(media_id);
    folders.in_shard(media_id, MissingShard::Fail, |shard| match file::open(shard, &name) {
        // The normal case. A stale shard is noticed when the file is written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(Some((file, length))) => Ok(note::read(&file, length)),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Kind;

    async fn write(slot: &Slot, content: &[u8]) -> Cached {
        let mut part = slot.begin();
        part.write(content).await.unwrap();
        part.finish(Kind::default(), "2025-01-01T00:00:00Z".parse().unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_finished_file_is_found_again_and_a_damaged_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        assert_eq!(slot.finished().await, None);
        let cached = write(&slot, b"hello").await;
        assert_eq!(
            cached.sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(slot.finished().await.as_ref(), Some(&cached));
        // Another process of the stage finds it as well.
        assert_eq!(Cache::new(root.path()).slot(id).await.finished().await, Some(cached));
        let path = root.path().join(cache_path::file(id));
        let whole = std::fs::read(&path).unwrap();
        assert!(whole.starts_with(b"hello"));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(slot.finished().await, None);
        std::fs::write(&path, b"hello").unwrap();
        assert_eq!(slot.finished().await, None, "nothing is known of it");
    }

    #[tokio::test]
    async fn a_second_task_of_the_same_attachment_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::create(root.path()).unwrap());
        let id = Uuid::new_v4();
        let first = cache.slot(id).await;
        let waiting = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.slot(id).await.finished().await.is_some() }
        });
        write(&first, b"x").await;
        drop(first);
        assert!(waiting.await.unwrap(), "it sees what the first has finished");
        assert!(cache.locks.busy.lock().is_empty());
    }

    #[tokio::test]
    async fn planted_links_are_replaced_and_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        std::fs::create_dir_all(root.path().join(cache_path::shard(id))).unwrap();
        std::os::unix::fs::symlink(&victim, root.path().join(cache_path::file(id))).unwrap();
        assert_eq!(slot.finished().await, None);
        let cached = write(&slot, b"hello").await;
        assert_eq!(slot.finished().await, Some(cached));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    }

    #[tokio::test]
    async fn a_finished_file_in_the_previous_layout_is_found_unless_it_is_damaged() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        let slot = cache.slot(id).await;
        assert_eq!(slot.finished_in_previous_layout().await, None);
        let path: PathBuf = root.path().join(cache_path::previous_file(id));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "hello").unwrap();
        assert_eq!(slot.finished_in_previous_layout().await, None, "it has no note");
        let note = r#"{"bytes":5,"sha256":"2c","content_type":null,"downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
        std::fs::write(path.with_file_name("note.json"), note).unwrap();
        let cached = slot.finished_in_previous_layout().await.unwrap();
        assert_eq!((cached.bytes, cached.sha256.as_str()), (5, "2c"));
        assert_eq!(slot.finished().await, None);
        std::fs::write(&path, "hell").unwrap();
        assert_eq!(slot.finished_in_previous_layout().await, None);
    }
}
