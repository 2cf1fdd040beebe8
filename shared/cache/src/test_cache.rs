//! A cache in a temporary folder with one attachment, for tests.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use crate::cache::Cache;
use crate::error::CacheError;
use crate::footer::{ContentKind, FileInfo};
use crate::part::Part;
use crate::slot::Slot;
use xact_contracts::cache_path::{self, Layout};

pub(crate) struct TestCache {
    pub(crate) root: tempfile::TempDir,
    pub(crate) cache: Cache,
    pub(crate) id: Uuid,
}

impl TestCache {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        let id = Uuid::new_v4();
        Self { root, cache, id }
    }

    pub(crate) async fn slot(&self) -> Slot {
        self.cache.slot(self.id).await
    }

    /// The complete file in a layout.
    pub(crate) fn path(&self, layout: Layout) -> PathBuf {
        self.root.path().join(match layout {
            Layout::Current => cache_path::file(self.id),
            Layout::Previous => cache_path::previous_file(self.id),
        })
    }

    /// Everything in the attachment's shard.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let shard = std::fs::read_dir(self.root.path().join(cache_path::shard(self.id)));
        shard.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

pub(crate) fn put(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(crate) fn link(target: &Path, at: &Path) {
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, at).unwrap();
}

pub(crate) async fn write(slot: &Slot, content: &[u8]) -> FileInfo {
    let mut part = slot.new_part();
    part.write(content).await.unwrap();
    finish(part).await.unwrap()
}

pub(crate) async fn finish(part: Part) -> Result<FileInfo, CacheError> {
    part.finish(ContentKind::default(), Timestamp::UNIX_EPOCH).await
}
