//! Files of the lake: the trait that the upload stage uses, its errors, and the check of paths.
//!
//! - `open`: the store of a location
//! - `local`: files on this machine
//! - `onelake`: files in OneLake
//! - `blobs`: writes the content of a file in OneLake, over the Blob protocol
//! - `content_hash`: SHA-256 of a file

mod blobs;
pub(crate) mod content_hash;
mod local;
pub(crate) mod onelake;
pub(crate) mod open;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use xact_contracts::onelake_billing::Bill;

/// The folder below the store's root for unfinished files; `list` omits it. Local files are in it while they are written,
/// and so were files in OneLake before version 0.2.
pub(crate) const TEMPORARY_FOLDER: &str = ".xact-uploads";

/// A folder tree that files are written to.
///
/// Paths are relative to the store's location and `/`-separated. `..`, a leading or doubled slash, NUL and backslashes are
/// always refused with [`FileError::InvalidPath`].
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Writes the first `content.bytes` bytes of `source` to `path`, and replaces an existing file. Nothing is written if the
    /// path has this content already.
    ///
    /// The source is hashed while it is read, and only the announced content becomes visible. A reader gets the old file or
    /// the complete new one. The call may be repeated. Several callers may write the same path at the same time: one
    /// succeeds, and one whose blocks were discarded by another's commit gets [`FileError::Unavailable`] and repeats the
    /// call. Memory does not grow with the size of a file.
    ///
    /// # Errors
    /// Any [`FileError`]; the path is then unchanged, unless only the service's response was lost.
    async fn put_file(&self, path: &str, source: FileSource, content: Content<'_>) -> Result<(), FileError>;

    /// Returns whether the file at `path` has exactly this content.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`], [`FileError::Unavailable`].
    async fn holds(&self, path: &str, content: Content<'_>) -> Result<bool, FileError>;

    /// Returns every file under the folder `prefix` (empty: all) with its size, sorted by path. For verification: all of them
    /// are in memory.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`], [`FileError::Unavailable`].
    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, FileError>;

    /// Sends the requests of an upload for a small file, and deletes it. Returns remarks for operators if the storage works
    /// but differs from what uploads expect.
    ///
    /// # Errors
    /// [`FileError::Unavailable`] with the reason.
    async fn probe(&self) -> Result<Vec<String>, FileError>;

    /// Returns unfinished files of killed uploads, with their sizes, that were last written at least `min_age` ago. OneLake
    /// has such files only from versions before 0.2.
    ///
    /// # Errors
    /// [`FileError::Unavailable`].
    async fn leftovers(&self, min_age: Duration) -> Result<Vec<(String, u64)>, FileError>;

    /// Deletes one of the [`FileStore::leftovers`]. Succeeds also if it does not exist.
    ///
    /// # Errors
    /// [`FileError::InvalidPath`] for any other path, [`FileError::Unavailable`].
    async fn delete_leftover(&self, path: &str) -> Result<(), FileError>;

    /// Returns what the store's requests have cost so far; `None` if it is not in OneLake.
    fn bill(&self) -> Option<Bill> {
        None
    }
}

/// Where the content of a file is read.
#[derive(Debug, Clone)]
pub enum FileSource {
    /// A small one, in memory.
    Bytes(Bytes),
    /// An open file, so that it is the one that the caller has checked.
    File(Arc<File>),
}

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: &'a str,
}

/// Returns a unique file name, so that two attempts never write the same file.
pub(crate) fn temporary_name() -> String {
    format!("{}.part", Uuid::new_v4())
}

/// Why a file was not written or looked up. The variant decides what happens to the message.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The storage is unavailable: keep the message, back off, retry.
    #[error(
        "cannot {action} {at}: {reason}; check that the storage is mounted and reachable, has space, and that this process may write there"
    )]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// Where.
        at: String,
        /// The storage's reason.
        reason: String,
    },
    /// The path of this message can never be written: the message is a dead letter.
    #[error("the path {path:?} is refused: {reason}; the event that names it must be corrected at its source")]
    InvalidPath {
        /// The path.
        path: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The source does not have the announced content: it has to be downloaded again.
    #[error("the cached file does not have the announced content ({reason}); it has to be downloaded again")]
    SourceChanged {
        /// What differs.
        reason: String,
    },
}

/// Why the files of a location cannot be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// A OneLake location that is not a folder for files.
    #[error(
        "{0} is not a folder for files: name one below an item's Files, as in abfss://workspace@onelake.dfs.fabric.microsoft.com/item/Files/attachments"
    )]
    Folder(String),
    /// A OneLake location with the connection for a local one.
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

    #[expect(clippy::needless_pass_by_value, reason = "takes an error or a text")]
    pub(crate) fn unavailable(action: &'static str, at: impl ToString, reason: impl ToString) -> Self {
        Self::Unavailable {
            action,
            at: at.to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Refuses a path that is not an unfinished file, for [`FileStore::delete_leftover`].
pub(crate) fn check_leftover(path: &str) -> Result<(), FileError> {
    check_path(path)?;
    match path.split_once('/') {
        Some((TEMPORARY_FOLDER, _)) => Ok(()),
        _ => Err(FileError::invalid(path, format!("it is not in {TEMPORARY_FOLDER}"))),
    }
}

/// Refuses a path that could lead out of the store's folder. Paths are safe when they are derived; this is defence in depth.
pub(crate) fn check_path(path: &str) -> Result<(), FileError> {
    if path.is_empty() {
        return Err(FileError::invalid(path, "it is empty"));
    }
    for part in path.split('/') {
        let reason = match part {
            "" => "it has an empty part or starts or ends with a slash",
            "." | ".." => "it has a part '.' or '..'",
            _ if part.contains(['\0', '\\']) => "it contains NUL or a backslash",
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
    fn a_path_that_could_lead_out_of_the_folder_is_refused() {
        let long = "a/".to_owned() + &"x".repeat(256);
        for path in [
            "", "/etc", "a//b", "a/", "../x", "a/../x", "a/./b", "a\0b", "a\\..\\b", &long,
        ] {
            let checked = check_path(path);
            assert!(matches!(checked, Err(FileError::InvalidPath { .. })), "{path:?}");
        }
        for path in ["a", "a/b.pdf", "..a/b..", "a b/ü.pdf", "C:/x"] {
            check_path(path).unwrap();
        }
    }
}
