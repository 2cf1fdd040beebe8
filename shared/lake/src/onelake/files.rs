//! Files in OneLake: appended in pieces under a temporary name, flushed, measured, renamed over.
//!
//! Every step may be repeated: an append says where its piece belongs, a flush how long the file is, and a rename whose
//! answer was lost is found out by looking at the destination.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use azure_core_legacy::error::{Error, ErrorKind};
use azure_core_legacy::{ExponentialRetryOptions, RetryOptions, StatusCode, TransportOptions};
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_datalake::Properties;
use azure_storage_datalake::clients::{DataLakeClientBuilder, FileClient, FileSystemClient};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::files::{Content, FileError, FileFuture, FileStore, TEMPORARY_FOLDER, check_path, temporary_name};
use crate::onelake::connection::{Http, Trouble, chain};
use crate::onelake::transport::Transport;

/// One append. Large enough that a request's latency does not dominate, small enough for fifty at once.
const PIECE_BYTES: u64 = 2 * 1024 * 1024;
/// All pieces in memory together, in KiB: fifty uploads of a handler must stay below its 128 MiB.
const PIECES_KIB: u32 = 32 * 1024;
/// Attempts after the first; together they take up to `RETRY_FOR`, then the handler keeps the message and backs off.
const RETRIES: u32 = 6;
const RETRY_FROM: Duration = Duration::from_millis(200);
const RETRY_FOR: Duration = Duration::from_secs(60);
/// What the SHA-256 is kept under, so that a look-up need not read the file. OneLake need not keep it.
const SHA256: &str = "xact_sha256";
/// Everything else in a path is percent-encoded: the crate encodes nothing.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A [`FileStore`] in a folder of a OneLake item.
pub(crate) struct OneLakeFiles {
    workspace: FileSystemClient,
    /// Item and folder within it.
    root: String,
    /// For errors.
    at: String,
    pieces: Semaphore,
}

impl OneLakeFiles {
    pub(crate) fn new(http: &Arc<Http>, workspace: &str, host: &str, path: &str) -> Self {
        let location = CloudLocation::Custom {
            account: "onelake".to_owned(),
            uri: format!("https://{host}/"),
        };
        // Anonymous to the crate: the transport knows the token, and when it wants another.
        let client = DataLakeClientBuilder::with_location(location, StorageCredentials::anonymous())
            .transport(TransportOptions::new(Arc::new(Transport(Arc::clone(http)))))
            .retry(RetryOptions::exponential(
                ExponentialRetryOptions::default()
                    .initial_delay(RETRY_FROM)
                    .max_retries(RETRIES)
                    .max_total_elapsed(RETRY_FOR),
            ))
            .build();
        Self {
            workspace: client.file_system_client(encoded(workspace)),
            root: path.to_owned(),
            at: format!("abfss://{workspace}@{host}/{path}"),
            pieces: Semaphore::new(PIECES_KIB as usize),
        }
    }

    fn file(&self, path: &str) -> FileClient {
        self.workspace.get_file_client(encoded(&self.within(path)))
    }

    fn within(&self, path: &str) -> String {
        match path {
            "" => self.root.clone(),
            path => format!("{}/{path}", self.root),
        }
    }

    fn unavailable(&self, action: &'static str, path: &str, error: &Error) -> FileError {
        self.no_good(action, path, why(error))
    }

    fn no_good(&self, action: &'static str, path: &str, reason: impl Into<String>) -> FileError {
        FileError::Unavailable {
            action,
            at: format!("{}/{path}", self.at).trim_end_matches('/').to_owned(),
            reason: reason.into(),
        }
    }

    /// Writes the whole content under the temporary name.
    async fn write(
        &self,
        temporary: &str,
        path: &str,
        source: &Arc<File>,
        content: Content<'_>,
    ) -> Result<(), FileError> {
        let failed = |error: Error| match is_name_refused(&error) {
            true => FileError::invalid(path, why(&error)),
            false => self.unavailable("write", path, &error),
        };
        let file = self.file(temporary);
        let mut properties = Properties::new();
        properties.insert(SHA256, content.sha256.to_owned());
        file.create().properties(properties).await.map_err(failed)?;
        let mut written: u64 = 0;
        while written < content.bytes {
            let wanted = PIECE_BYTES.min(content.bytes - written);
            let room = u32::try_from(wanted.div_ceil(1024)).unwrap_or(PIECES_KIB);
            let room = self.pieces.acquire_many(room).await;
            let piece = self.read(source, written, wanted).await?;
            if piece.len() as u64 != wanted {
                return Err(FileError::SourceChanged {
                    expected: content.bytes,
                    found: written + piece.len() as u64,
                });
            }
            file.append(position(written), piece).await.map_err(failed)?;
            drop(room);
            written += wanted;
        }
        file.flush(position(written)).close(true).await.map_err(failed)?;
        let found = file
            .get_properties()
            .await
            .map_err(failed)?
            .content_length
            .unwrap_or(-1);
        if found != position(content.bytes) {
            let reason = format!("{} bytes were written and {found} are there", content.bytes);
            return Err(self.no_good("write", path, reason));
        }
        Ok(())
    }

    /// Up to `wanted` bytes from `from` on.
    async fn read(&self, source: &Arc<File>, from: u64, wanted: u64) -> Result<Bytes, FileError> {
        let source = Arc::clone(source);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(wanted).unwrap_or(0)];
            let mut filled = 0;
            while filled < piece.len() {
                match source.read_at(&mut piece[filled..], from + filled as u64) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            piece.truncate(filled);
            Ok(Bytes::from(piece))
        });
        read.await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| FileError::Unavailable {
                action: "read",
                at: "the cached file".to_owned(),
                reason: error.to_string(),
            })
    }

    async fn put(&self, path: &str, source: &Arc<File>, content: Content<'_>) -> Result<(), FileError> {
        check(path)?;
        let temporary = format!("{TEMPORARY_FOLDER}/{}", temporary_name());
        // Creating a file makes the folders above it; renaming one does not.
        let prepared = tokio::try_join!(self.write(&temporary, path, source, content), self.make_folder(path));
        let written = match prepared {
            Ok(_) => self.rename(&temporary, path, content).await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            // Best effort: `sweep` takes what stays, and the error to report is the first one.
            let _ = self.delete(&temporary).await;
        }
        written
    }

    /// The folder of `path`; that it is there already is as good.
    async fn make_folder(&self, path: &str) -> Result<(), FileError> {
        let Some((folder, _)) = path.rsplit_once('/') else {
            return Ok(());
        };
        let folder = self.workspace.get_directory_client(encoded(&self.within(folder)));
        match folder.create_if_not_exists().await {
            Err(error) if is_name_refused(&error) => Err(FileError::invalid(path, why(&error))),
            // What is there may be a file: then the rename is refused.
            Err(error) if status(&error) != Some(StatusCode::Conflict) => {
                Err(self.unavailable("create the folder of", path, &error))
            }
            _ => Ok(()),
        }
    }

    async fn rename(&self, temporary: &str, path: &str, content: Content<'_>) -> Result<(), FileError> {
        let renamed = self.file(temporary).rename(encoded(&self.within(path))).await;
        let Err(error) = renamed else {
            return Ok(());
        };
        if is_name_refused(&error) {
            return Err(FileError::invalid(path, why(&error)));
        }
        // The folder was made before: if it is none, a file is in its place.
        if error_code(&error) == Some("RenameDestinationParentPathNotFound") && self.has_file_above(path).await {
            return Err(FileError::invalid(path, "a file is where it needs a folder"));
        }
        // Its answer may have been lost alone, and then the repetition found nothing to rename.
        match self.holds_content(path, content).await {
            Ok(true) if status(&error) == Some(StatusCode::NotFound) => Ok(()),
            _ => Err(self.unavailable("rename", path, &error)),
        }
    }

    /// Whether a file is where the path needs a folder: files have a hash of ours, or a length above nothing.
    async fn has_file_above(&self, path: &str) -> bool {
        let above = path.match_indices('/').map(|(end, _)| &path[..end]);
        for folder in above {
            if let Ok(found) = self.file(folder).get_properties().await
                && (found.content_length.unwrap_or(0) > 0
                    || found
                        .properties
                        .is_some_and(|properties| properties.get(SHA256).is_some()))
            {
                return true;
            }
        }
        false
    }

    async fn holds_content(&self, path: &str, content: Content<'_>) -> Result<bool, FileError> {
        check(path)?;
        let file = self.file(path);
        let found = match file.get_properties().await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(StatusCode::NotFound) && !is_workspace_missing(&error) => {
                return Ok(false);
            }
            Err(error) => return Err(self.unavailable("look up", path, &error)),
        };
        if found.content_length != Some(position(content.bytes)) {
            return Ok(false);
        }
        let noted = found.properties.as_ref().and_then(|properties| properties.get(SHA256));
        if let Some(noted) = noted {
            return Ok(noted.as_ref() == content.sha256);
        }
        // Written by somebody else, or the service does not keep properties.
        let mut hash = Sha256::new();
        let mut read: u64 = 0;
        while read < content.bytes {
            let piece = file.read().range(read..content.bytes.min(read + PIECE_BYTES));
            let piece = piece
                .await
                .map_err(|error| self.unavailable("read", path, &error))?
                .data;
            if piece.is_empty() {
                return Ok(false);
            }
            hash.update(&piece);
            read += piece.len() as u64;
        }
        Ok(hex::encode(hash.finalize()) == content.sha256)
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        match self.file(path).delete().into_stream().try_collect::<Vec<_>>().await {
            Err(error) if status(&error) != Some(StatusCode::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    /// Files below `folder`: path within the root, bytes, and when they were last written.
    async fn walk(&self, folder: &str) -> Result<Vec<Found>, FileError> {
        let mut pages = self.workspace.list_paths().directory(self.within(folder)).into_stream();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if status(&error) == Some(StatusCode::NotFound) && !is_workspace_missing(&error) => break,
                Err(error) => return Err(self.unavailable("list", folder, &error)),
            };
            found.extend(
                page.paths
                    .into_iter()
                    .filter(|entry| !entry.is_directory)
                    .filter_map(|entry| {
                        Some(Found {
                            path: within_root(&entry.name, &self.root)?.to_owned(),
                            bytes: u64::try_from(entry.content_length).ok()?,
                            written: entry.last_modified.unix_timestamp(),
                        })
                    }),
            );
        }
        Ok(found)
    }
}

struct Found {
    path: String,
    bytes: u64,
    /// Unix seconds.
    written: i64,
}

impl FileStore for OneLakeFiles {
    fn put_file<'a>(&'a self, path: &'a str, source: Arc<File>, content: Content<'a>) -> FileFuture<'a, ()> {
        Box::pin(async move { self.put(path, &source, content).await })
    }

    fn holds<'a>(&'a self, path: &'a str, content: Content<'a>) -> FileFuture<'a, bool> {
        Box::pin(self.holds_content(path, content))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> FileFuture<'a, Vec<(String, u64)>> {
        Box::pin(async move {
            let prefix = prefix.trim_end_matches('/');
            if !prefix.is_empty() {
                check(prefix)?;
            }
            let hidden = format!("{TEMPORARY_FOLDER}/");
            let found = self.walk(prefix).await?.into_iter();
            let mut files: Vec<_> = found
                .filter(|file| !file.path.starts_with(&hidden))
                .map(|file| (file.path, file.bytes))
                .collect();
            files.sort();
            Ok(files)
        })
    }

    fn probe(&self) -> FileFuture<'_, ()> {
        Box::pin(async move {
            let names = [temporary_name(), temporary_name()].map(|name| format!("{TEMPORARY_FOLDER}/{name}"));
            let file = self.file(&names[0]);
            let attempt = async {
                file.create().await?;
                file.append(0, Bytes::from_static(b"probe")).await?;
                file.flush(5).close(true).await?;
                file.rename(encoded(&self.within(&names[1]))).await?;
                self.delete(&names[1]).await
            };
            let outcome = attempt.await;
            if outcome.is_err() {
                let _ = self.delete(&names[0]).await;
            }
            outcome.map_err(|error| self.unavailable("write, rename and delete a test file in", "", &error))
        })
    }

    fn sweep(&self, age: Duration) -> FileFuture<'_, usize> {
        Box::pin(async move {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let limit = now.unwrap_or_default().saturating_sub(age).as_secs();
            let mut swept = 0;
            for file in self.walk(TEMPORARY_FOLDER).await? {
                if u64::try_from(file.written).is_ok_and(|written| written < limit) {
                    let deleted = self.delete(&file.path).await;
                    deleted.map_err(|error| self.unavailable("delete", &file.path, &error))?;
                    swept += 1;
                }
            }
            Ok(swept)
        })
    }
}

/// Besides what leads out of the folder: what OneLake refuses must not reach it, since its answer could be taken for
/// trouble that passes.
fn check(path: &str) -> Result<(), FileError> {
    check_path(path)?;
    for part in path.split('/') {
        if part.chars().any(|c| c.is_control() || "\"*:<>?|".contains(c)) {
            return Err(FileError::invalid(
                path,
                "it holds a character that OneLake refuses in names",
            ));
        }
        if part.ends_with(['.', ' ']) {
            return Err(FileError::invalid(path, "a part of it ends with a dot or a space"));
        }
    }
    Ok(())
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

fn position(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Listed paths start with the item. It may be named where we gave its GUID, and the other way round.
fn within_root<'a>(name: &'a str, root: &str) -> Option<&'a str> {
    let below = |root: &str| name.strip_prefix(root)?.strip_prefix('/');
    if let Some(path) = below(root) {
        return Some(path);
    }
    let (_, name) = name.split_once('/')?;
    let (_, root) = root.split_once('/')?;
    name.strip_prefix(root)?.strip_prefix('/')
}

fn status(error: &Error) -> Option<StatusCode> {
    match error.kind() {
        ErrorKind::HttpResponse { status, .. } => Some(*status),
        _ => None,
    }
}

fn error_code(error: &Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::HttpResponse { error_code, .. } => error_code.as_deref(),
        _ => None,
    }
}

/// The workspace or the item is not there: that is no answer about the file.
fn is_workspace_missing(error: &Error) -> bool {
    let code = error_code(error).unwrap_or_default();
    [
        "FilesystemNotFound",
        "ContainerNotFound",
        "WorkspaceNotFound",
        "ArtifactNotFound",
        "ItemNotFound",
    ]
    .contains(&code)
}

/// The name itself is refused, or it is taken by something of another kind: no repetition helps.
fn is_name_refused(error: &Error) -> bool {
    let code = error_code(error).unwrap_or_default();
    match status(error) {
        Some(StatusCode::BadRequest) => ["InvalidResourceName", "InvalidUri", "InvalidPathName"].contains(&code),
        Some(StatusCode::Conflict) => [
            "PathConflict",
            "InvalidDestinationPath",
            "ResourceTypeMismatch",
            "DestinationPathIsDirectory",
        ]
        .contains(&code),
        Some(StatusCode::UriTooLong) => true,
        _ => false,
    }
}

/// What is wrong, in the words of whoever knows best: our own for the identity, the service's for the rest.
fn why(error: &Error) -> String {
    if let Some(trouble) = error.downcast_ref::<Trouble>() {
        return trouble.to_string();
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(trouble) = cause.downcast_ref::<Trouble>() {
            return trouble.to_string();
        }
        next = cause.source();
    }
    match status(error) {
        Some(status) if is_workspace_missing(error) => format!(
            "OneLake answers {status} {}: check the workspace and the item in the path (GUIDs are the safer choice)",
            error_code(error).unwrap_or_default()
        ),
        Some(status) => format!("OneLake answers {status} {}", error_code(error).unwrap_or_default())
            .trim_end()
            .to_owned(),
        None => chain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_one_lake_refuses_never_reach_it() {
        for path in ["a:b", "a/b?", "a./b", "a /b", "a\u{1}b", "a|b", "../a", "", "a//b"] {
            assert!(matches!(check(path), Err(FileError::InvalidPath { .. })), "{path:?}");
        }
        for path in ["a", "documentsReceived/A-1/t 1/A-1_Überblick (2).pdf", "a/.hidden"] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn paths_are_encoded_once_and_slashes_are_kept() {
        assert_eq!(
            encoded("my item/Files/a b#c%41ü"),
            "my%20item/Files/a%20b%23c%2541%C3%BC"
        );
    }

    #[test]
    fn listed_paths_are_found_below_the_root_by_name_and_by_guid() {
        assert_eq!(within_root("item/Files/in/a/b", "item/Files/in"), Some("a/b"));
        assert_eq!(
            within_root("house.Lakehouse/Files/in/a", "7d3c8f0e/Files/in"),
            Some("a")
        );
        assert_eq!(within_root("item/Files/inside/a", "item/Files/in"), None);
    }
}
