//! The cache folder and its shards, kept open.
//!
//! A file in an open shard is one call away, however deep the cache folder is. An open folder may become stale: an operator
//! may empty the cache, or another volume may be mounted there. Therefore work that fails in a kept shard is retried once
//! in the shard reopened by path, and [`Folders::check_root`] detects a replaced folder where nothing fails.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{DirExt, MetadataExt};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use rustix::io::Errno;
use uuid::Uuid;

use xact_contracts::cache_path;

/// What to do when a shard does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingShard {
    Create,
    Fail,
}

/// The cache folder and its shards.
pub(crate) struct Folders {
    root: PathBuf,
    open: Mutex<OpenFolders>,
}

#[derive(Default)]
struct OpenFolders {
    root: Option<Arc<Dir>>,
    shards: HashMap<String, Arc<Dir>>,
}

impl Folders {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            open: Mutex::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// Runs `work` in an attachment's shard. If it fails in a kept shard, runs it once more in the shard reopened.
    pub(crate) fn in_shard<T>(
        &self,
        media_id: Uuid,
        missing: MissingShard,
        work: impl Fn(&Arc<Dir>) -> io::Result<T>,
    ) -> io::Result<T> {
        let name = cache_path::shard(media_id);
        let kept = self.open.lock().shards.get(&name).map(Arc::clone);
        if let Some(shard) = kept {
            match work(&shard) {
                Err(_) => *self.open.lock() = OpenFolders::default(),
                done => return done,
            }
        }
        let root = self.root(missing)?;
        let shard = match open_folder(&root, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing == MissingShard::Create => {
                match root.create_dir(&name) {
                    // Another process created it first.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    created => created?,
                }
                open_folder(&root, &name)?
            }
            opened => opened?,
        };
        let shard = Arc::new(shard);
        self.open.lock().shards.insert(name, Arc::clone(&shard));
        work(&shard)
    }

    /// Returns the cache folder, opened once.
    pub(crate) fn root(&self, missing: MissingShard) -> io::Result<Arc<Dir>> {
        if let Some(root) = &self.open.lock().root {
            return Ok(Arc::clone(root));
        }
        if missing == MissingShard::Create {
            std::fs::create_dir_all(&self.root)?;
        }
        let root = Arc::new(self.open_root()?);
        self.open.lock().root = Some(Arc::clone(&root));
        Ok(root)
    }

    /// Returns the folder that is now at the path. If it is not the one kept open, closes all that is kept.
    pub(crate) fn check_root(&self) -> io::Result<Dir> {
        let root = self.open_root()?;
        let kept = self.open.lock().root.clone();
        if let Some(kept) = kept {
            let (then, now) = (kept.dir_metadata()?, root.dir_metadata()?);
            if (then.dev(), then.ino()) != (now.dev(), now.ino()) {
                *self.open.lock() = OpenFolders::default();
            }
        }
        Ok(root)
    }

    fn open_root(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.root, ambient_authority())
    }
}

/// Opens a folder directly below `parent`; a link is an error.
pub(crate) fn open_folder(parent: &Dir, name: &str) -> io::Result<Dir> {
    parent.open_dir_nofollow(name).map_err(|error| {
        let errno = error.raw_os_error();
        if errno == Some(Errno::NOTDIR.raw_os_error()) || errno == Some(Errno::LOOP.raw_os_error()) {
            io::Error::other(format!(
                "{name}: expected a cache folder, found a link or a file: remove it"
            ))
        } else {
            error
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folders: &Folders, media_id: Uuid) -> io::Result<()> {
        let name = cache_path::file_name(media_id);
        folders.in_shard(media_id, MissingShard::Create, |shard| shard.write(&name, "x"))
    }

    fn read(folders: &Folders, media_id: Uuid) -> io::Result<Vec<u8>> {
        let name = cache_path::file_name(media_id);
        folders.in_shard(media_id, MissingShard::Fail, |shard| shard.read(&name))
    }

    #[test]
    fn a_cache_that_was_emptied_or_replaced_while_open_is_reopened() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("cache");
        let (writer, reader) = (Folders::new(&root), Folders::new(&root));
        let media_id = Uuid::new_v4();
        write(&writer, media_id).unwrap();
        assert_eq!(read(&reader, media_id).unwrap(), b"x");
        for replace in [
            &|| std::fs::remove_dir_all(root.join(cache_path::shard(media_id))),
            &|| std::fs::remove_dir_all(&root),
        ] as [&dyn Fn() -> io::Result<()>; 2]
        {
            replace().unwrap();
            assert_eq!(read(&reader, media_id).unwrap_err().kind(), io::ErrorKind::NotFound);
            write(&writer, media_id).unwrap();
            assert_eq!(read(&reader, media_id).unwrap(), b"x", "where the path leads now");
        }
        // Nothing fails in a folder that was moved away: it must be detected.
        std::fs::rename(&root, parent.path().join("away")).unwrap();
        std::fs::create_dir(&root).unwrap();
        writer.check_root().unwrap();
        write(&writer, media_id).unwrap();
        assert!(root.join(cache_path::file(media_id)).exists());
    }

    #[test]
    fn a_link_in_place_of_a_shard_is_refused_with_what_to_do() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let media_id = Uuid::new_v4();
        let shard = root.path().join(cache_path::shard(media_id));
        // A target inside the cache is not followed either.
        std::fs::create_dir(root.path().join("inside")).unwrap();
        for target in [outside.path(), Path::new("inside")] {
            std::os::unix::fs::symlink(target, &shard).unwrap();
            let error = write(&Folders::new(root.path()), media_id).unwrap_err().to_string();
            assert!(error.contains("remove it"), "{error}");
            std::fs::remove_file(&shard).unwrap();
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
