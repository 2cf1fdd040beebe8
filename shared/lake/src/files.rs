//! Putting files into the lake: the trait that `upload` sees, its errors, and the check of paths.

mod blobs;
pub(crate) mod content_hash;
mod local;
mod onelake;
pub(crate) mod open;

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use xact_contracts::onelake_billing::Bill;

/// Below the store's root, hidden from `list`: where local files are while they are written, and where versions before 0.2
/// wrote files in OneLake.
pub(crate) const TEMPORARY_FOLDER: &str = ".xact-uploads";

/// What the methods of [`FileStore`] return, so that the trait can be used as `Arc<dyn FileStore>`.
pub type FileFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, FileError>> + Send + 'a>>;

/// A folder tree that files are put into.
///
/// Paths are relative to the store's location and `/`-separated. `..`, a leading or doubled slash, NUL and
/// backslashes are refused with [`FileError::InvalidPath`], whatever was checked before.
pub trait FileStore: Send + Sync {
    /// Writes the first `content.bytes` bytes of `source` to `path`, replacing what is there. Nothing is written if the path
    /// has this content already.
    ///
    /// The source is an open file, so that what is written is what the caller looked at, and it is hashed while it is read:
    /// nothing becomes visible that is not the announced content. A reader sees the old file or the whole new one. The call
    /// may be repeated, and several callers may write one path at once: one of them wins, and one whose blocks were discarded by
    /// another's commit gets [`FileError::Unavailable`] and repeats the call. Memory is bounded whatever the size.
    ///
    /// # Errors
    /// Any [`FileError`]; the path is then unchanged, unless only the service's answer was lost.
    fn put_file<'a>(&'a self, path: &'a str, source: Arc<File>, content: Content<'a>) -> FileFuture<'a, ()>;

    /// Whether the file at `path` has exactly this content.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`], [`FileError::Unavailable`].
    fn holds<'a>(&'a self, path: &'a str, content: Content<'a>) -> FileFuture<'a, bool>;

    /// Every file under the folder `prefix` (empty: all) with its bytes, sorted by path. For verification: it holds them all in memory.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`], [`FileError::Unavailable`].
    fn list<'a>(&'a self, prefix: &'a str) -> FileFuture<'a, Vec<(String, u64)>>;

    /// Makes the requests of an upload on a small file, and deletes it. Returns remarks on storage that works but differs
    /// from what uploads expect; each is a sentence for operators.
    ///
    /// # Errors
    /// [`FileError::Unavailable`] with the reason.
    fn probe(&self) -> FileFuture<'_, Vec<String>>;

    /// Unfinished files of killed uploads, with their bytes, that were last written at least `min_age` ago. OneLake has
    /// them only from versions before 0.2.
    ///
    /// # Errors
    /// [`FileError::Unavailable`].
    fn leftovers(&self, min_age: Duration) -> FileFuture<'_, Vec<(String, u64)>>;

    /// Deletes one of the [`FileStore::leftovers`], whether it is still there or not.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`] for any other path, [`FileError::Unavailable`].
    fn delete_leftover<'a>(&'a self, path: &'a str) -> FileFuture<'a, ()>;

    /// What the store's requests have cost so far; `None` if it is not in OneLake.
    fn bill(&self) -> Option<Bill> {
        None
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: &'a str,
}

/// A name of its own for every attempt: two of them never share a file.
pub(crate) fn temporary_name() -> String {
    format!("{}.part", Uuid::new_v4())
}

/// Why a file was not put or looked up. The variant decides what becomes of the message.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The storage is in trouble: keep the message, back off, try again.
    #[error(
        "cannot {action} {at}: {reason}; check that the storage is mounted and reachable, has space, and that this process may write there"
    )]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// Where.
        at: String,
        /// What the storage said.
        reason: String,
    },
    /// This message's path can never be written: dead-letter it.
    #[error("the path {path:?} is refused: {reason}; the event that names it must be corrected at its source")]
    InvalidPath {
        /// The path as it was given.
        path: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The source does not have the announced content: it must be downloaded again.
    #[error("the cached file is not the announced one ({reason}): it must be downloaded again")]
    SourceChanged {
        /// What differs.
        reason: String,
    },
}

/// Why the files of a location cannot be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// A OneLake location that is no folder to write in.
    #[error(
        "{0} is no folder that files can be put into: name one below an item's Files, as in abfss://workspace@onelake.dfs.fabric.microsoft.com/item/Files/attachments"
    )]
    Folder(String),
    /// A OneLake location with the connection of a local one.
    #[error("{0} is in OneLake, and the connection is for a local folder")]
    NotConnected(String),
}

impl FileError {
    pub(crate) fn invalid(path: &str, reason: impl Into<String>) -> Self {
        Self::InvalidPath {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Only what a killed upload left may be deleted by [`FileStore::delete_leftover`].
pub(crate) fn check_leftover(path: &str) -> Result<(), FileError> {
    check_path(path)?;
    match path.split_once('/') {
        Some((TEMPORARY_FOLDER, _)) => Ok(()),
        _ => Err(FileError::invalid(path, format!("it is not in {TEMPORARY_FOLDER}"))),
    }
}

/// Defence in depth: the paths were made safe where they were derived, and are checked again where they are used.
pub(crate) fn check_path(path: &str) -> Result<(), FileError> {
    if path.is_empty() {
        return Err(FileError::invalid(path, "it is empty"));
    }
    for part in path.split('/') {
        let reason = match part {
            "" => "it has an empty part or starts or ends with a slash",
            "." | ".." => "it has a part '.' or '..'",
            _ if part.contains(['\0', '\\']) => "it holds NUL or a backslash",
            _ if part.len() > 255 => "a part of it is longer than 255 bytes",
            _ => continue,
        };
        return Err(FileError::invalid(path, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_that_could_leave_the_folder_are_refused() {
        let long = "a/".to_owned() + &"x".repeat(256);
        for path in [
            "",
            "/etc/passwd",
            "a//b",
            "a/",
            "../x",
            "a/../x",
            "a/./b",
            "a\0b",
            "a\\..\\b",
            &long,
        ] {
            assert!(
                matches!(check_path(path), Err(FileError::InvalidPath { .. })),
                "{path:?}"
            );
        }
        for path in ["a", "a/b.pdf", "..a/b..", "a b/ü.pdf", "C:/x"] {
            check_path(path).unwrap();
        }
    }
}
