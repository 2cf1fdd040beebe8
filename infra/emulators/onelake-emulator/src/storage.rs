//! The folder of the emulator: files, and a hidden folder for uncommitted data.
//!
//! Everything is opened from the root down, one name after the other, and never through a link, so that no link leads out of
//! the folder. A write becomes visible by one rename: if the emulator is killed, the old file or the new one remains. Writes
//! are not synced to disk: a machine that loses power may lose the last seconds.
//!
//! All calls block. Those that change names hold the lock only for the rename; bytes are written before.

mod appends;
mod blocks;
mod commit;
mod conditions;
mod draft;
mod entry;
mod error;
mod folders;
mod path;
mod properties;
mod walk;

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard, RwLock};
use sha2::{Digest, Sha256};

pub(crate) use blocks::{BlockRef, BlockSource};
pub(crate) use conditions::Conditions;
pub(crate) use draft::Draft;
pub(crate) use entry::{Entry, Stamp, http_date};
pub(crate) use error::{IfFound, StoreError};
pub(crate) use path::EntryPath;
pub(crate) use properties::{Block, Properties};
pub(crate) use walk::{ListDepth, ListEntry, ListOptions};

use entry::Clock;
use folders::{not_a_folder, open_file, open_folder, open_or_make_folder};
use properties::Records;

/// Folder for everything that is not a file of a workspace.
const HIDDEN_FOLDER: &str = ".onelake";
/// Number of locks for uploads; uploads to different paths rarely share one.
const UPLOAD_LOCKS: usize = 64;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Another emulator has the lock: two would delete each other's uploads.
    #[error("another emulator uses it; stop it, or choose another folder")]
    InUse,
    /// An error of the system.
    #[error("{0}; choose a folder that this process may write to")]
    Io(#[from] io::Error),
}

/// The storage of one emulator.
pub(crate) struct Storage {
    root: Dir,
    /// Files that requests are writing.
    drafts: Arc<Dir>,
    appends: Arc<Dir>,
    blocks: Dir,
    trash: Dir,
    records: Records,
    clock: Clock,
    /// Locked for writing while names change, for reading while several things are read that must agree.
    names: RwLock<()>,
    /// One of them is locked while the uncommitted data of a path changes.
    uploads: Vec<Mutex<()>>,
    _lock: File,
}

impl Storage {
    /// Opens or creates the folder, and deletes what requests of an earlier process left incomplete.
    pub(crate) fn open(root: &Path) -> Result<Self, FolderError> {
        std::fs::create_dir_all(root)?;
        let root = Dir::open_ambient_dir(root, ambient_authority())?;
        let hidden = open_or_make_folder(&root, &[HIDDEN_FOLDER.to_owned()])?;
        let lock = hidden.create("lock")?.into_std();
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for leftover in ["drafts", "trash"] {
            hidden.remove_dir_all(leftover).if_found()?;
        }
        let folder = |name: &str| open_or_make_folder(&hidden, &[name.to_owned()]);
        Ok(Self {
            drafts: Arc::new(folder("drafts")?),
            appends: Arc::new(folder("appends")?),
            blocks: folder("blocks")?,
            trash: folder("trash")?,
            records: Records(folder("properties")?),
            root,
            clock: Clock::default(),
            names: RwLock::default(),
            uploads: (0..UPLOAD_LOCKS).map(|_| Mutex::default()).collect(),
            _lock: lock,
        })
    }

    /// Creates a hidden file.
    pub(crate) fn draft(&self) -> io::Result<(Draft, File)> {
        Draft::create(&self.drafts)
    }

    /// Creates a folder and its parents, if they are missing.
    pub(crate) fn make_folder(&self, segments: &[String]) -> Result<(), StoreError> {
        let _names = self.names.write();
        open_or_make_folder(&self.root, segments)
            .map(drop)
            .map_err(not_a_folder)
    }

    /// Returns the names of the folders in a folder, sorted; none if it does not exist.
    pub(crate) fn folders(&self, segments: &[String]) -> Result<Vec<String>, StoreError> {
        let Some(folder) = open_folder(&self.root, segments).if_found()? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in folder.entries()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the file or folder at a path.
    pub(crate) fn entry(&self, path: &EntryPath) -> Result<Option<Entry>, StoreError> {
        let (parents, name) = path.split();
        let metadata = open_folder(&self.root, parents).and_then(|folder| folder.symlink_metadata(name));
        match metadata.if_found()? {
            Some(metadata) => Ok(Entry::of(&metadata)?),
            None => Ok(None),
        }
    }

    /// Whether a folder exists at a path.
    pub(crate) fn has_folder(&self, path: &EntryPath) -> Result<bool, StoreError> {
        Ok(self.entry(path)?.is_some_and(|entry| entry.is_folder()))
    }

    /// Returns the file or folder at a path, with its properties.
    pub(crate) fn stat(&self, path: &EntryPath) -> Result<(Entry, Properties), StoreError> {
        let _names = self.names.read();
        let entry = self.entry(path)?.ok_or(StoreError::NotFound)?;
        Ok((entry, self.records.read(path, &entry)?))
    }

    /// The same, with the file opened for reading; later writes to the path do not change it. `None` for a folder.
    pub(crate) fn read(&self, path: &EntryPath) -> Result<(Entry, Properties, Option<File>), StoreError> {
        let _names = self.names.read();
        let entry = self.entry(path)?.ok_or(StoreError::NotFound)?;
        let properties = self.records.read(path, &entry)?;
        if entry.is_folder() {
            return Ok((entry, properties, None));
        }
        let (parents, name) = path.split();
        let file = open_file(&open_folder(&self.root, parents)?, name)?;
        Ok((entry, properties, Some(file)))
    }

    /// Locks the uncommitted data of a path.
    fn uploads_to(&self, key: &str) -> MutexGuard<'_, ()> {
        // The key is a hash in hexadecimal.
        let slot = usize::from_str_radix(&key[..2], 16).unwrap_or(0) % self.uploads.len();
        self.uploads[slot].lock()
    }
}

/// Returns the name of the uncommitted data of a path in the hidden folder.
fn upload_key(path: &EntryPath) -> String {
    hex::encode(Sha256::digest(path.to_string()))
}
