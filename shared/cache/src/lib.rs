//! The cache folder: the files that the download stage hands over to the upload stage.
//!
//! - [`Cache`]: the folder, with its shards kept open, so that opening a file is one call
//! - [`Slot`] and [`Part`]: the download stage writes a file as a part and renames it once it is complete
//! - [`FileInfo`]: hash, size and kind of a complete file, stored in its footer
//! - [`CachedFile`]: the upload stage opens a file, checks its size, and removes it in the end
//! - [`Cutoffs`]: the janitor removes orphans
//! - [`Volume`]: how full the volume is
//!
//! `xact_contracts::cache_path` defines the layout. In Azure the folder is an SMB share, where each open, close, rename
//! and removal is a round trip and most are billed. One attachment takes eight such calls in both stages together:
//! `tests/system_calls.rs` counts them.
//!
//! The volume is shared, and other programs that write there may plant links. A shard is opened without following a link,
//! and a file is opened by its name in its shard, again without following one: no link leads outside, or to another file.

mod cached_file;
mod error;
mod folders;
mod footer;
mod janitor;
mod part;
mod previous;
mod regular_file;
mod slot;
mod volume;

use std::path::Path;
use std::sync::Arc;

use folders::Folders;
use slot::SlotLocks;
use volume::VolumeWatch;

pub use cached_file::{CachedFile, Lookup};
pub use error::CacheError;
pub use footer::{ContentKind, FileInfo};
pub use janitor::Cutoffs;
pub use part::Part;
pub use slot::Slot;
pub use volume::{Volume, VolumeFullError};

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
}

/// Creates the folder `root` if it is missing, and writes and removes a test file there.
///
/// # Errors
/// When that fails, with what to check.
pub fn probe(root: &Path) -> Result<(), CacheError> {
    let probe = root.join(format!(".probe-{}", uuid::Uuid::new_v4()));
    let attempt = || {
        std::fs::create_dir_all(root)?;
        let written = std::fs::write(&probe, b"probe");
        // Also after a failed write: a full volume leaves an empty file.
        let removed = std::fs::remove_file(&probe);
        written.and(removed)
    };
    attempt().map_err(|error| CacheError::new(root, error))
}
