//! The cache folder: the files between the download and the upload stage.
//!
//! - [`Cache`]: the folder, with its shards kept open, so that a file costs one call to open
//! - [`Slot`] and [`Part`]: the download stage writes a file as a part and renames it once it is complete
//! - [`CacheFile`]: the upload stage opens a file, checks it against its message, and removes it in the end
//! - [`ClearBefore`]: the janitor removes what no message waits for
//! - [`Volume`]: how full the volume is
//!
//! `xact_contracts::cache_path` has the layout. In Azure the folder is an SMB share, where each open, close, rename and removal
//! is a round trip and most are billed. One attachment takes eight such calls, from the first look to the removal:
//! `tests/system_calls.rs` counts them.
//!
//! The volume is shared, and other programs that write there may plant links. A shard is opened without following a link, and a
//! file is opened by its name in its shard, again without following one: no link leads outside, or to another file.

#![forbid(unsafe_code)]

mod error;
mod file;
mod folders;
mod janitor;
mod note;
mod part;
mod previous;
mod slot;
mod verified;
mod volume;

pub use error::CacheError;
pub use janitor::ClearBefore;
pub use note::{Cached, Kind};
pub use part::Part;
pub use slot::Slot;
pub use verified::{CacheFile, Found};
pub use volume::{FullError, Volume};

use std::path::Path;
use std::sync::Arc;

use folders::Folders;
use slot::Locks;
use volume::VolumeWatch;

/// The cache folder, as one stage of this process sees it.
pub struct Cache {
    folders: Arc<Folders>,
    locks: Arc<Locks>,
    volume: VolumeWatch,
}

impl Cache {
    /// The folder `root`. No I/O happens yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            folders: Arc::new(Folders::new(root)),
            locks: Arc::default(),
            volume: VolumeWatch::default(),
        }
    }

    /// Creates the folder if it is missing, and writes and removes a test file there.
    ///
    /// # Errors
    /// When that fails, with what to check.
    pub fn create(root: &Path) -> Result<Self, CacheError> {
        probe(root)?;
        Ok(Self::new(root))
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
