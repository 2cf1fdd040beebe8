//! Files in OneLake: content is written over the Blob protocol; listing and deleting by path use DFS.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use azure_core_legacy::{ExponentialRetryOptions, RetryOptions, TransportOptions};
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_datalake::clients::{DataLakeClientBuilder, FileClient, FileSystemClient};
use azure_storage_datalake::file_system::Path;
use azure_storage_datalake::operations::ListPathsBuilder;
use futures::{StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use crate::azure::connection::{Http, blob_host};
use crate::azure::dfs_transport::DfsTransport;
use crate::azure::service_error::RequestError;
use crate::files::blobs::BlobWriter;
use crate::files::blobs::block::BLOCK_BYTES;
use crate::files::blobs::error::WriteError;
use crate::files::{
    Content, FileError, FileSource, FileStore, OpenError, TEMPORARY_FOLDER, check_leftover, check_path,
};
use xact_contracts::onelake_billing::Bill;

/// Attempts after the first, over DFS.
const MAX_RETRIES: u32 = 6;
const RETRY_DELAY: Duration = Duration::from_millis(200);
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Characters of a path that are percent-encoded. The client crates encode nothing.
const ENCODED_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A [`FileStore`] in a folder of a OneLake item.
pub(crate) struct OneLakeFiles {
    http: Arc<Http>,
    workspace: FileSystemClient,
    blobs: BlobWriter,
    /// Item and folder within it.
    root: String,
    /// The location, for errors.
    at: String,
    /// The host of the Blob endpoint, for errors.
    blob_host: String,
}

impl OneLakeFiles {
    /// Returns the files below `path` of a workspace on the DFS host `host`. No I/O.
    ///
    /// # Errors
    /// [`OpenError::Folder`] if that is not a valid URL.
    pub(crate) fn new(http: &Arc<Http>, workspace: &str, host: &str, path: &str) -> Result<Self, OpenError> {
        let at = format!("abfss://{workspace}@{host}/{path}");
        let blob_host = blob_host(host);
        let workspace_url = Url::parse(&format!("https://{blob_host}/{}/", encoded(workspace)));
        let location = CloudLocation::Custom {
            account: "onelake".to_owned(),
            uri: format!("https://{host}/"),
        };
        // Anonymous for the crate, because the transport adds the token.
        let client = DataLakeClientBuilder::with_location(location, StorageCredentials::anonymous())
            .transport(TransportOptions::new(Arc::new(DfsTransport(Arc::clone(http)))))
            .retry(RetryOptions::exponential(
                ExponentialRetryOptions::default()
                    .initial_delay(RETRY_DELAY)
                    .max_retries(MAX_RETRIES)
                    .max_total_elapsed(RETRY_TIMEOUT),
            ))
            .build();
        Ok(Self {
            http: Arc::clone(http),
            workspace: client.file_system_client(encoded(workspace)),
            blobs: BlobWriter::new(http, workspace_url.map_err(|_| OpenError::Folder(at.clone()))?),
            root: path.to_owned(),
            at,
            blob_host,
        })
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

    fn unavailable(&self, action: &'static str, path: &str, reason: &dyn fmt::Display) -> FileError {
        let at = format!("{}/{path}", self.at);
        FileError::unavailable(action, at.trim_end_matches('/'), reason)
    }

    /// Converts an error of a Blob request. It names the host, because a firewall may block it but not the DFS host.
    fn blob_error(&self, action: &'static str, path: &str, error: &RequestError) -> FileError {
        match error {
            _ if error.is_path_refused() => FileError::invalid(path, error.to_string()),
            RequestError::Refused { .. } => self.unavailable(action, path, error),
            RequestError::Failed(reason) => {
                self.unavailable(action, path, &format!("{reason} (Blob endpoint {})", self.blob_host))
            }
        }
    }

    /// Returns whether the DFS endpoint responds, with any status.
    async fn is_dfs_reachable(&self) -> bool {
        let answer = self.file("").get_properties().await.map_err(RequestError::from);
        answer.map_or_else(|error| error.status().is_some(), |_| true)
    }

    /// Returns the files below `folder`.
    async fn walk(&self, folder: &str) -> Result<Vec<Listed>, FileError> {
        let entries = self.entries(folder, self.workspace.list_paths()).await?;
        let files = entries.into_iter().filter(|entry| !entry.is_directory);
        let listed = files.filter_map(|file| {
            Some(Listed {
                path: within_root(&file.name, &self.root)?.to_owned(),
                bytes: u64::try_from(file.content_length).ok()?,
                written: file.last_modified.unix_timestamp(),
            })
        });
        Ok(listed.collect())
    }

    /// Returns the names of the folders directly below the root.
    pub(crate) async fn folders(&self) -> Result<Vec<String>, FileError> {
        let entries = self.entries("", self.workspace.list_paths().recursive(false)).await?;
        let folders = entries.into_iter().filter(|entry| entry.is_directory);
        Ok(folders
            .filter_map(|folder| within_root(&folder.name, &self.root).map(str::to_owned))
            .collect())
    }

    async fn entries(&self, folder: &str, list: ListPathsBuilder) -> Result<Vec<Path>, FileError> {
        let mut pages = list.directory(self.within(folder)).into_stream();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            match page.map_err(RequestError::from) {
                Ok(page) => found.extend(page.paths),
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(self.unavailable("list", folder, &error)),
            }
        }
        Ok(found)
    }
}

/// A file in a listing.
struct Listed {
    /// Relative to the root.
    path: String,
    bytes: u64,
    /// When it was last written, in Unix seconds.
    written: i64,
}

#[async_trait]
impl FileStore for OneLakeFiles {
    async fn put_file(&self, path: &str, source: FileSource, content: Content<'_>) -> Result<(), FileError> {
        check(path)?;
        let within = encoded(&self.within(path));
        let put = self.blobs.put(&within, path, &source, content).await;
        put.map_err(|error| match error {
            WriteError::Request(error) => self.blob_error("write", path, &error),
            WriteError::File(error) => error,
            WriteError::Source(error) => FileError::unavailable("read", "the cached file", error),
        })
    }

    async fn holds(&self, path: &str, content: Content<'_>) -> Result<bool, FileError> {
        check(path)?;
        let stored = self.blobs.stored(&encoded(&self.within(path))).await;
        let stored = match stored.map_err(|error| self.blob_error("look up", path, &error))? {
            Some(stored) if !stored.is_folder && stored.bytes == content.bytes => stored,
            _ => return Ok(false),
        };
        if let Some(sha256) = stored.sha256 {
            return Ok(sha256 == content.sha256);
        }
        // Written by another program, or the service does not keep metadata: the content itself has to be compared.
        let file = self.file(path);
        let mut hash = Sha256::new();
        let mut read: u64 = 0;
        while read < content.bytes {
            let block = file.read().range(read..content.bytes.min(read + BLOCK_BYTES)).await;
            let block = block.map_err(|error| self.unavailable("read", path, &RequestError::from(error)))?;
            if block.data.is_empty() {
                return Ok(false);
            }
            hash.update(&block.data);
            read += block.data.len() as u64;
        }
        Ok(hex::encode(hash.finalize()) == content.sha256)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, FileError> {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            check(prefix)?;
        }
        let hidden = format!("{TEMPORARY_FOLDER}/");
        let mut found = self.walk(prefix).await?;
        found.retain(|file| !file.path.starts_with(&hidden));
        let mut files: Vec<_> = found.into_iter().map(|file| (file.path, file.bytes)).collect();
        files.sort();
        Ok(files)
    }

    async fn probe(&self) -> Result<Vec<String>, FileError> {
        let path = encoded(&self.within(&format!(".xact-probe-{}", Uuid::new_v4())));
        let remarks = self.blobs.probe(&path).await;
        // Deleted in any case. The first error is the one to report.
        let deleted = self.blobs.delete(&path).await;
        match remarks.and_then(|remarks| deleted.map(|()| remarks)) {
            Ok(remarks) => Ok(remarks.into_iter().map(str::to_owned).collect()),
            Err(RequestError::Failed(reason)) if self.is_dfs_reachable().await => {
                let reason = format!(
                    "{reason} (Blob endpoint {}). The DFS endpoint answers: let the firewall, the proxy or the private \
                     endpoint pass the Blob endpoint too",
                    self.blob_host
                );
                Err(self.unavailable("write a test file in", "", &reason))
            }
            Err(error) => Err(self.blob_error("write and delete a test file in", "", &error)),
        }
    }

    async fn leftovers(&self, min_age: Duration) -> Result<Vec<(String, u64)>, FileError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let limit = now.unwrap_or_default().saturating_sub(min_age).as_secs();
        let found = self.walk(TEMPORARY_FOLDER).await?.into_iter();
        let is_old = |file: &Listed| u64::try_from(file.written).is_ok_and(|written| written <= limit);
        Ok(found.filter(is_old).map(|file| (file.path, file.bytes)).collect())
    }

    async fn delete_leftover(&self, path: &str) -> Result<(), FileError> {
        check_leftover(path)?;
        let deleted = self.file(path).delete().into_stream().try_collect::<Vec<_>>().await;
        match deleted.map_err(RequestError::from) {
            Err(error) if !error.is_not_found() => Err(self.unavailable("delete", path, &error)),
            _ => Ok(()),
        }
    }

    fn bill(&self) -> Option<Bill> {
        Some(self.http.bill())
    }
}

/// Refuses a path that could lead out of the folder, and one that OneLake refuses: its response could be taken for a
/// transient error.
fn check(path: &str) -> Result<(), FileError> {
    check_path(path)?;
    for part in path.split('/') {
        if part.chars().any(|c| c.is_control() || "\"*:<>?|".contains(c)) {
            let reason = "it contains a character that OneLake refuses in names";
            return Err(FileError::invalid(path, reason));
        }
        if part.ends_with(['.', ' ']) {
            return Err(FileError::invalid(path, "a part of it ends with a dot or a space"));
        }
    }
    Ok(())
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ENCODED_IN_PATH).to_string()
}

/// Returns a listed path relative to the root. Listed paths start with the item, by its name even if the request has its
/// GUID, and the other way round.
fn within_root<'a>(name: &'a str, root: &str) -> Option<&'a str> {
    let below = |root: &str| name.strip_prefix(root)?.strip_prefix('/');
    if let Some(path) = below(root) {
        return Some(path);
    }
    let (_, name) = name.split_once('/')?;
    let (_, root) = root.split_once('/')?;
    name.strip_prefix(root)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_one_lake_refuses_are_not_sent() {
        for path in ["a:b", "a/b?", "a./b", "a /b", "a\u{1}b", "a|b", "../a", "", "a//b"] {
            assert!(matches!(check(path), Err(FileError::InvalidPath { .. })), "{path:?}");
        }
        for path in ["a", "documentsReceived/A-1/t 1/A-1_Überblick (2).pdf", "a/.hidden"] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn paths_are_encoded_once_and_slashes_are_not_encoded() {
        let path = encoded("my item/Files/a b#c%41ü");
        assert_eq!(path, "my%20item/Files/a%20b%23c%2541%C3%BC");
    }

    #[test]
    fn listed_paths_are_found_below_the_root_by_name_and_by_guid() {
        for (name, root, path) in [
            ("item/Files/in/a/b", "item/Files/in", Some("a/b")),
            ("house.Lakehouse/Files/in/a", "7d3c8f0e/Files/in", Some("a")),
            ("item/Files/inside/a", "item/Files/in", None),
        ] {
            assert_eq!(within_root(name, root), path);
        }
    }
}
