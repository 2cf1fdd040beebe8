//! The cached file of a message: checked before it is uploaded, removed with its folder when it is no longer needed.

//!
//! The volume is shared, and whoever else writes there may plant links: nothing outside the cache folder is read or
//! removed, and no link is taken for a file.

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A complete file with the announced size and hash.
#[derive(Debug)]
pub(crate) struct CacheFile {
    cache_dir: PathBuf,
    path: PathBuf,
    /// Open since it was looked at: what is put is what was checked.
    content: Arc<File>,
}

/// What is at the path.
#[derive(Debug)]
pub(crate) enum Found {
    /// The file.
    Good(CacheFile),
    /// Nothing, or something else, and what.
    Unusable(&'static str),
}

impl CacheFile {
    /// Looks at the file at `path` below the cache folder.
    ///
    /// # Errors
    /// When the volume does not answer as it should: then nothing is known of the file.
    pub(crate) async fn look(cache_dir: PathBuf, path: PathBuf, bytes: u64, sha256: &str) -> io::Result<Found> {
        let sha256 = sha256.to_ascii_lowercase();
        tokio::task::spawn_blocking(move || look(cache_dir, path, bytes, &sha256))
            .await
            .map_err(io::Error::other)?
    }

    pub(crate) fn content(&self) -> Arc<File> {
        Arc::clone(&self.content)
    }

    /// Removes the file and what else is in its folder, once that is waited for. It is closed at once: thousands may wait
    /// for the acknowledgements of their results.
    pub(crate) fn forget(self) -> impl Future<Output = ()> + Send {
        let Self { cache_dir, path, .. } = self;
        remove(cache_dir, path)
    }
}

/// Removes a cached file that is no longer needed, whether it is there or not, and its folder with all that attempts
/// left in it. Best effort: the janitor takes what stays.
pub(crate) async fn remove(cache_dir: PathBuf, path: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || {
        let unless_gone = |removed: io::Result<()>| match removed {
            Err(error) if !is_absence(&error) => Err(error),
            _ => Ok(()),
        };
        let remove = || {
            let cache = Dir::open_ambient_dir(&cache_dir, ambient_authority())?;
            // The file first: a note without its file means nothing, a file without its note would.
            unless_gone(cache.remove_file(&path))?;
            match path.parent() {
                Some(folder) => unless_gone(cache.remove_dir_all(folder)),
                None => Ok(()),
            }
        };
        if let Err(error) = remove() {
            tracing::debug!(path = %path.display(), %error, "a cached file stays until the janitor comes");
        }
    });
    // Only fails when the process ends.
    let _ = removed.await;
}

fn look(cache_dir: PathBuf, path: PathBuf, bytes: u64, sha256: &str) -> io::Result<Found> {
    let opened =
        Dir::open_ambient_dir(&cache_dir, ambient_authority()).and_then(|cache| Ok((open(&cache, &path)?, cache)));
    let ((file, length), cache) = match opened {
        Ok((Some(file), cache)) => (file, cache),
        Ok((None, _)) => return Ok(Found::Unusable("it is no file")),
        Err(error) if is_absence(&error) => return Ok(Found::Unusable("it is gone")),
        Err(error) => return Err(error),
    };
    if length != bytes {
        return Ok(damaged(&cache, &path, "its size is not the announced one"));
    }
    if lake::sha256_hex(&file)? != sha256 {
        return Ok(damaged(&cache, &path, "its hash is not the announced one"));
    }
    Ok(Found::Good(CacheFile {
        cache_dir,
        path,
        content: Arc::new(file),
    }))
}

/// The file and its size; `None` for a link or anything else that is no file.
fn open(cache: &Dir, path: &Path) -> io::Result<Option<(File, u64)>> {
    // Looked at first: to open a pipe would wait for its writer.
    if !cache.symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No);
    let file = cache.open_with(path, &options)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then(|| (file.into_std(), metadata.len())))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A damaged file must go: the download stage would take it for finished, by its size alone, and hand it on again.
fn damaged(cache: &Dir, path: &Path, why: &'static str) -> Found {
    if let Err(error) = cache.remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a damaged cached file cannot be removed");
    }
    Found::Unusable(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[tokio::test]
    async fn only_the_announced_file_is_good() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("aa/id");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        let look = |bytes| CacheFile::look(root.path().to_owned(), "aa/id/file".into(), bytes, HELLO);
        assert!(matches!(look(5).await.unwrap(), Found::Unusable("it is gone")));
        std::fs::write(&path, "hello").unwrap();
        std::fs::write(folder.join("other.part"), "left by a crash").unwrap();
        assert!(matches!(look(4).await.unwrap(), Found::Unusable(_)));
        assert!(
            !path.exists(),
            "a damaged file is not left for the download stage to find"
        );
        std::fs::write(&path, "hello").unwrap();
        let Found::Good(file) = look(5).await.unwrap() else {
            panic!("it is the file");
        };
        file.forget().await;
        assert!(!folder.exists());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, "hellx").unwrap();
        assert!(matches!(
            look(5).await.unwrap(),
            Found::Unusable("its hash is not the announced one")
        ));
    }

    #[tokio::test]
    async fn planted_links_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("id/file");
        std::fs::create_dir_all(secret.parent().unwrap()).unwrap();
        std::fs::write(&secret, "hello").unwrap();
        let look = |path: &str| CacheFile::look(root.path().to_owned(), path.into(), 5, HELLO);
        let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, root.path().join(name)).unwrap();

        // The file itself, whether the target is outside or in the cache.
        std::fs::create_dir_all(root.path().join("aa/id")).unwrap();
        link(&secret, "aa/id/file");
        assert!(matches!(look("aa/id/file").await, Ok(Found::Unusable("it is no file"))));
        std::fs::create_dir_all(root.path().join("aa/other")).unwrap();
        std::fs::write(root.path().join("target"), "hello").unwrap();
        link(Path::new("../../target"), "aa/other/file");
        assert!(matches!(
            look("aa/other/file").await,
            Ok(Found::Unusable("it is no file"))
        ));

        // Its folder, and the folder of that.
        std::fs::create_dir_all(root.path().join("bb")).unwrap();
        link(&outside.path().join("id"), "bb/id");
        link(outside.path(), "cc");
        for path in ["bb/id/file", "cc/id/file"] {
            let error = look(path).await.unwrap_err();
            assert!(error.to_string().contains("outside"), "{path}: {error}");
            remove(root.path().to_owned(), path.into()).await;
        }
        assert_eq!(std::fs::read(&secret).unwrap(), b"hello", "nothing outside is removed");
    }

    #[tokio::test]
    async fn a_pipe_does_not_hold_the_thread() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("aa/id")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(root.path().join("aa/id/file"))
            .status();
        assert!(made.unwrap().success());
        let found = CacheFile::look(root.path().to_owned(), "aa/id/file".into(), 5, HELLO).await;
        assert!(matches!(found, Ok(Found::Unusable("it is no file"))));
    }
}
