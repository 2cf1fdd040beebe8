//! The slot of an attachment in the cache: held by one task of this process at a time.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::folders::{Folders, MissingShard};
use crate::footer::{self, FileInfo};
use crate::part::Part;
use crate::{previous, regular_file};
use xact_contracts::cache_path;

/// One lock per attachment in progress.
pub(crate) type SlotLocks = Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>;

/// The slot of an attachment in the cache, held by one task. Dropping it removes its lock unless another task waits for it.
pub struct Slot {
    folders: Arc<Folders>,
    media_id: Uuid,
    locks: Arc<SlotLocks>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut busy = self.locks.lock();
        drop(self.guard.take());
        // One reference is the map's own; a waiting task holds another.
        if busy
            .get(&self.media_id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            busy.remove(&self.media_id);
        }
    }
}

impl Slot {
    /// Waits until no other task holds the slot.
    pub(crate) async fn acquire(folders: &Arc<Folders>, locks: &Arc<SlotLocks>, media_id: Uuid) -> Self {
        let lock = Arc::clone(locks.lock().entry(media_id).or_default());
        Self {
            folders: Arc::clone(folders),
            media_id,
            locks: Arc::clone(locks),
            guard: Some(lock.lock_owned().await),
        }
    }

    /// Returns the complete file of an earlier attempt, if it exists with the size in its footer.
    pub async fn complete_file(&self) -> Option<FileInfo> {
        let media_id = self.media_id;
        self.on_volume(move |folders| complete_file(folders, media_id)).await
    }

    /// Returns the complete file of an earlier attempt in the previous layout, if it exists with the size in its note.
    pub async fn complete_file_in_previous_layout(&self) -> Option<FileInfo> {
        let media_id = self.media_id;
        self.on_volume(move |folders| previous::complete_file(folders, media_id))
            .await
    }

    /// Starts a new file. Nothing is written to the volume yet.
    #[must_use]
    pub fn new_part(&self) -> Part {
        Part::new(Arc::clone(&self.folders), self.media_id)
    }

    /// Runs blocking work. A file that cannot be read counts as absent: it is written again, and the write reports the error.
    async fn on_volume(
        &self,
        read: impl FnOnce(&Folders) -> io::Result<Option<FileInfo>> + Send + 'static,
    ) -> Option<FileInfo> {
        let folders = Arc::clone(&self.folders);
        tokio::task::spawn_blocking(move || read(&folders)).await.ok()?.ok()?
    }
}

fn complete_file(folders: &Folders, media_id: Uuid) -> io::Result<Option<FileInfo>> {
    let name = cache_path::file_name(media_id);
    folders.in_shard(media_id, MissingShard::Fail, |shard| {
        match regular_file::open(shard, &name) {
            // The normal case. A stale shard is detected when the file is written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(Some((file, length))) => Ok(footer::read(&file, length)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cache;
    use crate::test_cache::{TestCache, link, put, write};
    use xact_contracts::cache_path::Layout;

    #[tokio::test]
    async fn a_complete_file_is_found_again_and_a_damaged_one_is_not() {
        let cache = TestCache::new();
        let slot = cache.slot().await;
        assert_eq!(slot.complete_file().await, None);
        let cached = write(&slot, b"hello").await;
        assert_eq!(
            cached.sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(slot.complete_file().await.as_ref(), Some(&cached));
        // Another process of the stage finds it too.
        let other = Cache::new(cache.root.path()).slot(cache.id).await;
        assert_eq!(other.complete_file().await, Some(cached));
        let path = cache.path(Layout::Current);
        let whole = std::fs::read(&path).unwrap();
        assert!(whole.starts_with(b"hello"));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(slot.complete_file().await, None);
    }

    #[tokio::test]
    async fn a_second_task_of_the_same_attachment_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let (folders, locks) = (Arc::new(Folders::new(root.path())), Arc::<SlotLocks>::default());
        let id = Uuid::new_v4();
        let first = Slot::acquire(&folders, &locks, id).await;
        let waiting = tokio::spawn({
            let (folders, locks) = (Arc::clone(&folders), Arc::clone(&locks));
            async move {
                let second = Slot::acquire(&folders, &locks, id).await;
                second.complete_file().await.is_some()
            }
        });
        write(&first, b"x").await;
        drop(first);
        assert!(waiting.await.unwrap(), "it finds the file of the first");
        assert!(locks.lock().is_empty());
    }

    #[tokio::test]
    async fn planted_links_are_replaced_and_not_followed() {
        let (cache, outside) = (TestCache::new(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        put(&victim, "untouched");
        link(&victim, &cache.path(Layout::Current));
        let slot = cache.slot().await;
        assert_eq!(slot.complete_file().await, None);
        let cached = write(&slot, b"hello").await;
        assert_eq!(slot.complete_file().await, Some(cached));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    }

    #[tokio::test]
    async fn a_complete_file_in_the_previous_layout_is_found_unless_it_is_damaged() {
        let cache = TestCache::new();
        let slot = cache.slot().await;
        let path = cache.path(Layout::Previous);
        assert_eq!(slot.complete_file_in_previous_layout().await, None);
        put(&path, "hello");
        assert_eq!(slot.complete_file_in_previous_layout().await, None, "it has no note");
        let note = r#"{"bytes":5,"sha256":"2c","content_type":null,"downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
        put(&path.with_file_name("note.json"), note);
        let cached = slot.complete_file_in_previous_layout().await.unwrap();
        assert_eq!((cached.bytes, cached.sha256.as_str()), (5, "2c"));
        assert_eq!(slot.complete_file().await, None);
        put(&path, "hell");
        assert_eq!(slot.complete_file_in_previous_layout().await, None);
    }
}
