//! The cached file of a message: checked before it is uploaded, removed with its folder when it is no longer needed.

use std::io;
use std::path::{Path, PathBuf};

/// A complete file with the announced size and hash.
#[derive(Debug)]
pub(crate) struct CacheFile(PathBuf);

/// What is at the path.
#[derive(Debug)]
pub(crate) enum Found {
    /// The file.
    Good(CacheFile),
    /// Nothing, or something else, and what.
    Unusable(&'static str),
}

impl CacheFile {
    /// Looks at the file.
    ///
    /// # Errors
    /// When the volume does not answer as it should: then nothing is known of the file.
    pub(crate) async fn look(path: PathBuf, bytes: u64, sha256: &str) -> io::Result<Found> {
        let sha256 = sha256.to_ascii_lowercase();
        tokio::task::spawn_blocking(move || look(path, bytes, &sha256))
            .await
            .map_err(io::Error::other)?
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the file and what else is in its folder.
    pub(crate) async fn forget(self) {
        remove(self.0).await;
    }
}

/// Removes a cached file that is no longer needed, whether it is there or not, and its folder with all that attempts
/// left in it. Best effort: the janitor takes what stays.
pub(crate) async fn remove(file: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || {
        let unless_gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // The file first: a note without its file means nothing, a file without its note would.
        let removed = unless_gone(std::fs::remove_file(&file)).and_then(|()| match file.parent() {
            Some(folder) => unless_gone(std::fs::remove_dir_all(folder)),
            None => Ok(()),
        });
        if let Err(error) = removed {
            tracing::debug!(path = %file.display(), %error, "a cached file stays until the janitor comes");
        }
    });
    // Only fails when the process ends.
    let _ = removed.await;
}

fn look(path: PathBuf, bytes: u64, sha256: &str) -> io::Result<Found> {
    // Not followed: a link planted in the cache would put another file into the lake.
    let metadata = match std::fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Unusable("it is gone"));
        }
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(Found::Unusable("it is no file"));
    }
    if metadata.len() != bytes {
        return Ok(damaged(&path, "its size is not the announced one"));
    }
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Unusable("it is gone")),
        Err(error) => return Err(error),
    };
    if lake::sha256_hex(file)? != sha256 {
        return Ok(damaged(&path, "its hash is not the announced one"));
    }
    Ok(Found::Good(CacheFile(path)))
}

/// A damaged file must go: the download stage would take it for finished, by its size alone, and hand it on again.
fn damaged(path: &Path, why: &'static str) -> Found {
    if let Err(error) = std::fs::remove_file(path) {
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
        let look = |bytes| CacheFile::look(path.clone(), bytes, HELLO);
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
    async fn a_planted_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("secret");
        std::fs::write(&target, "hello").unwrap();
        let link = root.path().join("file");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(
            CacheFile::look(link, 5, HELLO).await.unwrap(),
            Found::Unusable("it is no file")
        ));
    }
}
