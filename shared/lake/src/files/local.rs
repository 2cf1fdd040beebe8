//! Files on this machine, for development and tests: written under a temporary name, synced, and renamed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::files::content_hash::{CHUNK_BYTES, check_announced, sha256_hex};
use crate::files::{
    Content, FileError, FileSource, FileStore, TEMPORARY_FOLDER, check_leftover, check_path, temporary_name,
};

/// A [`FileStore`] in a local folder, which is created on first use.
pub(crate) struct LocalFiles(pub(crate) PathBuf);

impl LocalFiles {
    /// Runs blocking file operations on a thread for blocking work.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Path) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let root = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.unwrap_or_else(|error| Err(FileError::unavailable(action, self.0.display(), error)))
    }
}

#[async_trait]
impl FileStore for LocalFiles {
    async fn put_file(&self, path: &str, source: FileSource, content: Content<'_>) -> Result<(), FileError> {
        let (path, bytes, sha256) = (path.to_owned(), content.bytes, content.sha256.to_owned());
        let put = move |root: &Path| put(root, &path, &source, Content { bytes, sha256: &sha256 });
        self.blocking("write", put).await
    }

    async fn holds(&self, path: &str, content: Content<'_>) -> Result<bool, FileError> {
        let (path, bytes, sha256) = (path.to_owned(), content.bytes, content.sha256.to_owned());
        self.blocking("look up", move |root| {
            check_path(&path)?;
            let target = root.join(&path);
            match has_content(&target, bytes, &sha256) {
                Err(error) if is_not_found(&error) => Ok(false),
                found => found.map_err(|error| target_error("look up", &path, &target, &error)),
            }
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, FileError> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.blocking("list", move |root| {
            if !prefix.is_empty() {
                check_path(&prefix)?;
            }
            sorted_files(root, &prefix)
        })
        .await
    }

    async fn probe(&self) -> Result<Vec<String>, FileError> {
        self.blocking("write a test file in", |root| {
            let folder = root.join(TEMPORARY_FOLDER);
            let [written, renamed] = [temporary_name(), temporary_name()].map(|name| folder.join(name));
            let attempt = || {
                fs::create_dir_all(&folder)?;
                File::create_new(&written)?.write_all(b"probe")?;
                fs::rename(&written, &renamed)?;
                fs::remove_file(&renamed)
            };
            attempt().map(|()| Vec::new()).map_err(|error| {
                // Best effort: a full volume may leave an empty file.
                let _ = fs::remove_file(&written);
                unavailable("write, rename and delete a test file in", root, &error)
            })
        })
        .await
    }

    async fn leftovers(&self, min_age: Duration) -> Result<Vec<(String, u64)>, FileError> {
        self.blocking("list", move |root| {
            let limit = SystemTime::now().checked_sub(min_age).unwrap_or(SystemTime::UNIX_EPOCH);
            let mut found = sorted_files(root, TEMPORARY_FOLDER)?;
            found.retain(|(path, _)| {
                let modified = fs::metadata(root.join(path)).and_then(|metadata| metadata.modified());
                modified.is_ok_and(|modified| modified <= limit)
            });
            Ok(found)
        })
        .await
    }

    async fn delete_leftover(&self, path: &str) -> Result<(), FileError> {
        let path = path.to_owned();
        self.blocking("delete", move |root| {
            check_leftover(&path)?;
            match fs::remove_file(root.join(&path)) {
                Err(error) if !is_not_found(&error) => Err(unavailable("delete", &root.join(&path), &error)),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn has_content(target: &Path, bytes: u64, sha256: &str) -> io::Result<bool> {
    let metadata = fs::metadata(target)?;
    if !metadata.is_file() || metadata.len() != bytes {
        return Ok(false);
    }
    Ok(sha256_hex(File::open(target)?)? == sha256)
}

fn put(root: &Path, path: &str, source: &FileSource, content: Content<'_>) -> Result<(), FileError> {
    check_path(path)?;
    let target = root.join(path);
    let folder = target.parent().unwrap_or(root);
    if target.is_dir() {
        return Err(FileError::invalid(path, "a folder of that name exists"));
    }
    if has_content(&target, content.bytes, content.sha256).unwrap_or(false) {
        return Ok(());
    }
    // The store's own folder first: a failure there is not caused by the message's path.
    fs::create_dir_all(root).map_err(|error| unavailable("create", root, &error))?;
    fs::create_dir_all(folder).map_err(|error| target_error("create the folder of", path, &target, &error))?;

    let uploads = root.join(TEMPORARY_FOLDER);
    fs::create_dir_all(&uploads).map_err(|error| unavailable("create", &uploads, &error))?;
    let temporary = uploads.join(temporary_name());
    let written = write_temporary(source, &temporary, path, content)
        .and_then(|()| fs::rename(&temporary, &target).map_err(|error| target_error("rename", path, &target, &error)));
    if written.is_err() {
        // Best effort: `list` omits a leftover, and the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The rename itself has to be durable before the cached file is deleted.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| unavailable("sync the folder of", &target, &error))
}

/// Copies and hashes the source in chunks. The hash is checked at the end, because a file may change while it is read.
fn write_temporary(source: &FileSource, temporary: &Path, path: &str, content: Content<'_>) -> Result<(), FileError> {
    let into = |error: &io::Error| target_error("write", path, temporary, error);
    let mut to = File::create_new(temporary).map_err(|error| into(&error))?;
    let changed = |reason: String| Err(FileError::SourceChanged { reason });
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copied: u64 = 0;
    while copied < content.bytes {
        let wanted = CHUNK_BYTES.min(usize::try_from(content.bytes - copied).unwrap_or(CHUNK_BYTES));
        let read = match read_at(source, &mut chunk[..wanted], copied) {
            Ok(0) => return changed(format!("it ends after {copied} bytes")),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unavailable("read", Path::new("the cached file"), &error)),
        };
        copied += read as u64;
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read]).map_err(|error| into(&error))?;
    }
    check_announced(hash, content)?;
    to.sync_all().map_err(|error| into(&error))
}

fn read_at(source: &FileSource, chunk: &mut [u8], from: u64) -> io::Result<usize> {
    match source {
        FileSource::File(file) => file.read_at(chunk, from),
        FileSource::Bytes(bytes) => {
            let from = usize::try_from(from).map_err(io::Error::other)?;
            bytes.get(from..).unwrap_or_default().read(chunk)
        }
    }
}

/// Returns the files below a folder with their sizes, sorted by path.
fn sorted_files(root: &Path, prefix: &str) -> Result<Vec<(String, u64)>, FileError> {
    let mut found = Vec::new();
    walk(root, prefix, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, prefix: &str, found: &mut Vec<(String, u64)>) -> Result<(), FileError> {
    let folder = root.join(prefix);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if is_not_found(&error) => return Ok(()),
        Err(error) => return Err(unavailable("list", &folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| unavailable("list", &folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && name == TEMPORARY_FOLDER {
            continue;
        }
        let path = format!("{prefix}/{name}").trim_start_matches('/').to_owned();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(root, &path, found)?,
            Ok(metadata) => found.push((path, metadata.len())),
            // Replaced or removed during the listing.
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(unavailable("list", &entry.path(), &error)),
        }
    }
    Ok(())
}

fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unavailable(action: &'static str, at: &Path, error: &io::Error) -> FileError {
    FileError::unavailable(action, at.display(), error)
}

/// Classifies an error at the target: an error that the name itself causes is permanent for the message, any other is one of
/// the storage.
fn target_error(action: &'static str, path: &str, at: &Path, error: &io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            let reason = "a file has the name of one of its folders, or a folder has its name";
            FileError::invalid(path, reason)
        }
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => FileError::invalid(path, error.to_string()),
        _ => unavailable(action, at, error),
    }
}
