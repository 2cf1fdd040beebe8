//! A directory per test: removed when the test passes, kept and printed when it fails.

use std::{
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{Error, Result, watchdog};

/// A new directory. Dropping it removes it, unless the test is panicking or `XACT_TEST_KEEP` is set: then its
/// path is printed. (A test that returns an error does not panic; its error contains the end of the log.)
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl WorkDir {
    /// Creates a directory whose name begins with `name` in the system's temporary directory.
    pub fn new(name: &str) -> Result<WorkDir> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("xact-{name}-"))
            .tempdir()
            .map_err(Error::io("make a temporary directory"))?;
        // The watchdog removes it when the test is killed, so tempfile need not.
        let path = dir.keep();
        watchdog::add_dir(&path);
        Ok(WorkDir {
            path,
            is_kept: AtomicBool::new(false),
        })
    }

    /// Keeps the directory on drop, for a failure that is not a panic.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
        watchdog::forget_dir(&self.path);
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Deref for WorkDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        watchdog::forget_dir(&self.path);
        let is_kept = self.is_kept.load(Ordering::Relaxed) || env::var_os("XACT_TEST_KEEP").is_some();
        if thread::panicking() || is_kept {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Reads a text file, with an error that names it.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

/// Writes a file, with an error that names it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).map_err(Error::io(format!("write {}", path.display())))
}

/// Copies the content of the folder `from` into `to`, which is created if necessary.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || Error::io(format!("copy {} to {}", from.display(), to.display()));
    fs::create_dir_all(to).map_err(failed())?;
    for entry in fs::read_dir(from).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(failed())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_removed_after_success_and_kept_after_failure() -> Result<()> {
        let passed = WorkDir::new("passed")?.path().to_owned();
        assert!(!passed.exists());

        let kept = WorkDir::new("kept")?;
        kept.keep();
        let path = kept.path().to_owned();
        drop(kept);
        std::fs::remove_dir(path).map_err(Error::io("remove the kept directory"))?;

        let failed = thread::spawn(|| {
            let dir = WorkDir::new("failed").unwrap();
            std::panic::panic_any(dir.path().to_owned());
        });
        let failed = failed.join().unwrap_err().downcast::<PathBuf>().unwrap();
        assert!(failed.exists());
        std::fs::remove_dir(*failed).map_err(Error::io("remove the kept directory"))
    }
}
