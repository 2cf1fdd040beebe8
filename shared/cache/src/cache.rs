//! The cache folder as its stages use it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::cached_file::{Entry, Lookup};
use crate::error::CacheError;
use crate::folders::Folders;
use crate::janitor::{self, Cutoffs};
use crate::slot::{Slot, SlotLocks};
use crate::volume::{Volume, VolumeWatch};
use xact_contracts::cache_path::Layout;

/// The cache folder, as used by one stage of this process.
pub struct Cache {
    folders: Arc<Folders>,
    locks: Arc<SlotLocks>,
    volume: VolumeWatch,
}

impl Cache {
    /// Uses the folder `root`. No I/O happens yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            folders: Arc::new(Folders::new(root)),
            locks: Arc::default(),
            volume: VolumeWatch::default(),
        }
    }

    /// Uses the folder `root` after a [`probe`].
    ///
    /// # Errors
    /// When the probe fails, with what to check.
    pub fn create(root: &Path) -> Result<Self, CacheError> {
        probe(root)?;
        Ok(Self::new(root))
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folders.path()
    }

    /// Returns the slot of an attachment; waits while another task of this process holds it.
    pub async fn slot(&self, media_id: Uuid) -> Slot {
        Slot::acquire(&self.folders, &self.locks, media_id).await
    }

    /// Opens the file of an attachment that is announced with this size. A file of another size is removed: the download
    /// stage would take it for complete and announce it again.
    ///
    /// # Errors
    /// When the volume fails, so that nothing is known of the file.
    pub async fn open(&self, media_id: Uuid, layout: Layout, bytes: u64) -> io::Result<Lookup> {
        Entry::new(&self.folders, media_id, layout).look_up(bytes).await
    }

    /// Removes the file of an attachment if it exists; in the previous layout, its folder with everything that attempts left
    /// in it. Best effort: the janitor removes what remains.
    pub fn remove(&self, media_id: Uuid, layout: Layout) -> impl Future<Output = ()> + Send + use<> {
        Entry::new(&self.folders, media_id, layout).remove()
    }

    /// Removes orphans and returns how many files, or folders of attachments in the previous layout, that were.
    ///
    /// It blocks, and lists every shard.
    #[must_use]
    pub fn remove_orphans(&self, cutoffs: Cutoffs) -> usize {
        janitor::remove_orphans(&self.folders, cutoffs)
    }

    /// Returns how full the volume is: a reading at most 10 s old, or 250 ms above 80 %. On a full volume orphaned parts are
    /// removed first, at most once a minute.
    ///
    /// # Errors
    /// When the file system call fails.
    pub async fn volume(&self) -> Result<Volume, CacheError> {
        self.volume.read(&self.folders).await
    }
}

/// Creates the folder `root` if it is missing, and writes and removes a test file there.
///
/// # Errors
/// When that fails, with what to check.
pub fn probe(root: &Path) -> Result<(), CacheError> {
    let probe = root.join(format!(".probe-{}", Uuid::new_v4()));
    let attempt = || {
        std::fs::create_dir_all(root)?;
        let written = std::fs::write(&probe, b"probe");
        // Also after a failed write: a full volume leaves an empty file.
        let removed = std::fs::remove_file(&probe);
        written.and(removed)
    };
    attempt().map_err(|error| CacheError::new(root, error))
}
