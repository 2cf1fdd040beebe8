//! The folder under the emulator: files in their places, and a hidden folder for what nobody may see yet.
//!
//! Everything is opened from the root down, one name after the other, and never through a link: what somebody planted in
//! the folder leads nowhere. A write becomes visible by one rename within the folder; killed at any moment, the emulator
//! leaves the old file or the new one. (It does not wait for the disk: a machine that loses power may lose the last
//! seconds.)
//!
//! All calls block. Those that change names take the lock for a moment; bytes are written before.

mod appends;
mod blocks;
mod commit;
mod conditions;
mod draft;
mod entry;
mod error;
mod path;
mod properties;
mod walk;

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use parking_lot::{Mutex, MutexGuard, RwLock};
use sha2::{Digest, Sha256};

pub(crate) use blocks::{BlockRef, Source};
pub(crate) use conditions::Conditions;
pub(crate) use draft::Draft;
pub(crate) use entry::{Entry, Stamp, http_date};
pub(crate) use error::StoreError;
pub(crate) use path::EntryPath;
pub(crate) use properties::{Block, Properties};
pub(crate) use walk::{Listed, Shape, Wanted};

use entry::Clock;
use error::is_absence;
use properties::Records;

/// Holds everything that is not a file of a workspace.
const HIDDEN: &str = ".onelake";
/// Uploads to different paths rarely wait for each other.
const UPLOAD_LOCKS: usize = 64;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Two emulators would clear each other's uploads.
    #[error("another emulator uses it; stop that one, or choose another folder")]
    InUse,
    /// The system refused.
    #[error("{0}; choose a folder that this process may write to")]
    Io(#[from] io::Error),
}

/// The storage of one emulator.
pub(crate) struct Storage {
    root: Dir,
    /// What a request is writing.
    drafts: Arc<Dir>,
    appends: Arc<Dir>,
    blocks: Dir,
    trash: Dir,
    records: Records,
    clock: Clock,
    /// Held for writing while names change, for reading while several things are looked at that must agree.
    names: RwLock<()>,
    /// One of them is held while the uncommitted data of a path changes.
    uploads: Vec<Mutex<()>>,
    _lock: File,
}

impl Storage {
    /// Opens or makes the folder, and clears what requests of an earlier process left half done.
    pub(crate) fn open(root: &Path) -> Result<Self, FolderError> {
        std::fs::create_dir_all(root)?;
        let root = Dir::open_ambient_dir(root, ambient_authority())?;
        let hidden = open_or_make_folder(&root, &[HIDDEN.to_owned()])?;
        let lock = hidden.create("lock")?.into_std();
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for leftover in ["drafts", "trash"] {
            match hidden.remove_dir_all(leftover) {
                Err(error) if !is_absence(&error) => return Err(error.into()),
                _ => {}
            }
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

    /// A hidden file to write to.
    pub(crate) fn draft(&self) -> io::Result<(Draft, File)> {
        Draft::create(&self.drafts)
    }

    /// Makes a folder and those above it, if they are missing.
    pub(crate) fn make_folder(&self, segments: &[String]) -> Result<(), StoreError> {
        let _names = self.names.write();
        open_or_make_folder(&self.root, segments).map(drop).map_err(in_the_way)
    }

    /// The names of the folders in a folder, sorted; none if it is not there.
    pub(crate) fn folders(&self, segments: &[String]) -> Result<Vec<String>, StoreError> {
        let folder = match open_folder(&self.root, segments) {
            Ok(folder) => folder,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
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

    /// What is at a path.
    pub(crate) fn entry(&self, path: &EntryPath) -> Result<Option<Entry>, StoreError> {
        let (parents, name) = path.split();
        let metadata = open_folder(&self.root, parents).and_then(|folder| folder.symlink_metadata(name));
        match metadata {
            Ok(metadata) => Ok(Entry::of(&metadata)?),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a folder is at a path.
    pub(crate) fn has_folder(&self, path: &EntryPath) -> Result<bool, StoreError> {
        Ok(self.entry(path)?.is_some_and(|entry| entry.is_folder()))
    }

    /// What is at a path, with its properties.
    pub(crate) fn look(&self, path: &EntryPath) -> Result<(Entry, Properties), StoreError> {
        let _names = self.names.read();
        let entry = self.entry(path)?.ok_or(StoreError::NotFound)?;
        Ok((entry, self.records.read(path, &entry)?))
    }

    /// The same, with the file opened for reading: later writes to the path do not reach it. A folder has no bytes.
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

    /// The lock over the uncommitted data of a path.
    fn uploads_to(&self, key: &str) -> MutexGuard<'_, ()> {
        // The key is a hash in hexadecimal.
        let slot = usize::from_str_radix(&key[..2], 16).unwrap_or(0) % self.uploads.len();
        self.uploads[slot].lock()
    }
}

/// Under which name the uncommitted data of a path lies in the hidden folder.
fn upload_key(path: &EntryPath) -> String {
    hex::encode(Sha256::digest(path.to_string()))
}

/// Opens a folder name by name, so that no link is followed.
fn open_folder(root: &Dir, segments: &[String]) -> io::Result<Dir> {
    segments
        .iter()
        .try_fold(root.try_clone()?, |folder, name| folder.open_dir_nofollow(name))
}

/// The same, making what is missing.
fn open_or_make_folder(root: &Dir, segments: &[String]) -> io::Result<Dir> {
    segments
        .iter()
        .try_fold(root.try_clone()?, |folder, name| match folder.open_dir_nofollow(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match folder.create_dir(name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                folder.open_dir_nofollow(name)
            }
            opened => opened,
        })
}

/// Opens a file for reading, unless a link stands in its place.
fn open_file(folder: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No);
    folder.open_with(name, &options).map(cap_std::fs::File::into_std)
}

/// A file (or a link) where a folder was to be made.
fn in_the_way(error: io::Error) -> StoreError {
    if is_absence(&error) {
        StoreError::WrongKind
    } else {
        error.into()
    }
}
