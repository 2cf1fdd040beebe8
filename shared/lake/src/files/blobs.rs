//! Writes a file's content over the Blob protocol: one Put Blob up to 4 MiB, blocks and a block list above.
//!
//! Both are atomic for readers: the blob does not exist, or is the old one, or the complete new one. A creation is
//! conditional (`If-None-Match: *`), so a repeated upload costs one refused write and a request for the properties, and
//! writes nothing. A retry after a lost response works the same way, because it finds the blob. The service deletes the
//! uncommitted blocks of a killed upload after a week.

pub(super) mod block;
pub(super) mod error;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_storage_blob::clients::{BlobClient, BlobClientOptions};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use url::Url;
use uuid::Uuid;

use crate::azure::blob_transport::{BlobTransport, ContentMd5Policy};
use crate::azure::connection::Http;
use crate::azure::service_error::RequestError;
use crate::files::blobs::block::{BLOCK_BYTES, Block, read};
use crate::files::blobs::error::WriteError;
use crate::files::blobs::requests::{Overwrite, Stored, commit, stage, stored, upload};
use crate::files::content_hash::check_announced;
use crate::files::{Content, FileError, FileSource};

/// Blocks of one file that are sent at the same time.
const MAX_BLOCKS_IN_FLIGHT: usize = 4;
/// Memory for content of all uploads together, in KiB. Fifty uploads have to stay below a handler's 128 MiB, and the allocator
/// and the HTTP connections use several times this amount.
const MAX_MEMORY_KIB: u32 = 16 * 1024;
/// Attempts after the first. Together they take up to [`RETRY_TIMEOUT`]; then the handler keeps the message and backs off.
const MAX_RETRIES: u32 = 6;
const RETRY_DELAY: Duration = Duration::from_millis(200);
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Writes the files of one workspace.
pub(crate) struct BlobWriter {
    /// `https://{Blob host}/{workspace}/`.
    workspace: Url,
    options: ClientOptions,
    memory: Arc<Semaphore>,
}

impl BlobWriter {
    /// `workspace` is the URL of the workspace on the Blob host, with a slash at the end.
    pub(crate) fn new(http: &Arc<Http>, workspace: Url) -> Self {
        let options = ClientOptions {
            // No credential, because the transport adds the token.
            transport: Some(Transport::new(Arc::new(BlobTransport(Arc::clone(http))))),
            per_call_policies: vec![Arc::new(ContentMd5Policy)],
            retry: RetryOptions::exponential(ExponentialRetryOptions {
                initial_delay: RETRY_DELAY.try_into().unwrap_or_default(),
                max_retries: MAX_RETRIES,
                max_total_elapsed: RETRY_TIMEOUT.try_into().unwrap_or_default(),
                ..ExponentialRetryOptions::default()
            }),
            ..ClientOptions::default()
        };
        Self {
            workspace,
            options,
            memory: Arc::new(Semaphore::new(MAX_MEMORY_KIB as usize)),
        }
    }

    /// Writes the content of `source` to `path`, which is percent-encoded and relative to the workspace. `shown` is the path in
    /// errors.
    pub(crate) async fn put(
        &self,
        path: &str,
        shown: &str,
        source: &FileSource,
        content: Content<'_>,
    ) -> Result<(), WriteError> {
        let blob = self.blob(path)?;
        if content.bytes <= BLOCK_BYTES {
            return self.put_whole(&blob, shown, source, content).await;
        }
        match self.put_blocks(&blob, shown, source, content).await {
            // Versions before 0.2 wrote over DFS, and such a file cannot get blocks. Between delete and write readers find no
            // file.
            Err(WriteError::Request(error)) if error.is_written_over_dfs() => {
                self.delete(path).await?;
                self.put_blocks(&blob, shown, source, content).await
            }
            put => put,
        }
    }

    /// Returns what is stored at the path; `None` if nothing is.
    pub(crate) async fn stored(&self, path: &str) -> Result<Option<Stored>, RequestError> {
        stored(&self.blob(path)?).await
    }

    /// Deletes the blob, if it exists.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), RequestError> {
        match self.blob(path)?.delete(None).await.map_err(RequestError::from) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends the requests of an upload, of a repeated upload and of a large one, and returns the differences from OneLake's
    /// documented behaviour. The caller deletes the blob.
    pub(crate) async fn probe(&self, path: &str) -> Result<Vec<&'static str>, RequestError> {
        let blob = self.blob(path)?;
        let client = blob.block_blob_client();
        let block = Block::of(Bytes::from_static(b"probe"));
        let sha256 = hex::encode(Sha256::digest(&block.bytes));
        let content = Content {
            bytes: block.bytes.len() as u64,
            sha256: &sha256,
        };
        let mut remarks = Vec::new();
        upload(&client, &block, Overwrite::Never, content).await?;
        match upload(&client, &block, Overwrite::Never, content).await {
            Ok(()) => remarks.push(
                "If-None-Match: * was ignored: a repeated upload writes the file again, and tables with such storage would \
                 lose commits (their own check refuses it). Check that no proxy or gateway in front of OneLake removes the header",
            ),
            Err(error) if error.is_condition_failed() => {}
            Err(error) => return Err(error),
        }
        if stored(&blob).await?.is_none_or(|stored| !stored.has(content)) {
            remarks.push(
                "metadata is not kept: nothing is lost, but a repeated upload writes the file again. Check that no proxy or \
                 gateway in front of OneLake removes headers that begin with x-ms-meta-",
            );
        }
        let id = Uuid::new_v4();
        stage(&client, &id, block).await?;
        commit(&client, &[id], Overwrite::Always, content).await?;
        Ok(remarks)
    }

    /// Writes with one Put Blob. The content is in memory, and hashed there.
    async fn put_whole(
        &self,
        blob: &BlobClient,
        shown: &str,
        source: &FileSource,
        content: Content<'_>,
    ) -> Result<(), WriteError> {
        let _memory = self.memory.acquire_many(kib(content.bytes)).await;
        let hash = Arc::new(Mutex::new(Sha256::new()));
        let block = read(source, 0, content.bytes, &hash).await?;
        check_announced(hash.lock().clone(), content)?;
        let client = blob.block_blob_client();
        let uploaded = upload(&client, &block, Overwrite::Never, content).await;
        if is_written(uploaded, blob, shown, content).await? {
            return Ok(());
        }
        Ok(upload(&client, &block, Overwrite::Always, content).await?)
    }

    /// Writes with one Put Block for each 4 MiB, then Put Block List. The lookup before costs a hundredth of one block.
    async fn put_blocks(
        &self,
        blob: &BlobClient,
        shown: &str,
        source: &FileSource,
        content: Content<'_>,
    ) -> Result<(), WriteError> {
        let overwrite = match stored(blob).await? {
            Some(stored) if stored.has(content) => return Ok(()),
            Some(stored) if stored.is_folder => return Err(folder_is_there(shown)),
            Some(_) => Overwrite::Always,
            None => Overwrite::Never,
        };
        let client = Arc::new(blob.block_blob_client());
        let hash = Arc::new(Mutex::new(Sha256::new()));
        // Ids of the same length, and unique: two uploads of one path must not mix their blocks.
        let parts = content.bytes.div_ceil(BLOCK_BYTES);
        let ids: Vec<Uuid> = (0..parts).map(|_| Uuid::new_v4()).collect();
        stream::iter(ids.clone().into_iter().zip(0_u64..))
            // One after the other, because the hash depends on their order.
            .then(|(id, index)| {
                let (memory, source, hash) = (Arc::clone(&self.memory), source.clone(), Arc::clone(&hash));
                let from = index * BLOCK_BYTES;
                let wanted = BLOCK_BYTES.min(content.bytes - from);
                async move {
                    let memory = memory.acquire_many_owned(kib(wanted)).await;
                    let block = read(&source, from, wanted, &hash).await?;
                    Ok::<_, WriteError>((id, block, memory))
                }
            })
            .map_ok(|(id, block, memory)| {
                let client = Arc::clone(&client);
                async move {
                    stage(&client, &id, block).await?;
                    drop(memory);
                    Ok(())
                }
            })
            .try_buffer_unordered(MAX_BLOCKS_IN_FLIGHT)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        check_announced(hash.lock().clone(), content)?;
        let committed = commit(&client, &ids, overwrite, content).await;
        if is_written(committed, blob, shown, content).await? {
            return Ok(());
        }
        Ok(commit(&client, &ids, Overwrite::Always, content).await?)
    }

    fn blob(&self, path: &str) -> Result<BlobClient, RequestError> {
        let url = self.workspace.join(path);
        let url = url.map_err(|error| RequestError::Failed(error.to_string()))?;
        let options = BlobClientOptions {
            client_options: self.options.clone(),
            ..BlobClientOptions::default()
        };
        Ok(BlobClient::new(url, None, Some(options))?)
    }
}

/// Returns whether the path has the content, by this write or by another. `Ok(false)`: it has other content, which has to be
/// replaced.
async fn is_written(
    written: Result<(), RequestError>,
    blob: &BlobClient,
    shown: &str,
    content: Content<'_>,
) -> Result<bool, WriteError> {
    let Err(refused) = written else {
        return Ok(true);
    };
    // Another upload of the same file may have committed its block list, which discards the blocks of this upload.
    let is_block_list_gone = refused.code() == "InvalidBlockList";
    if !refused.is_condition_failed() && !is_block_list_gone {
        return Err(refused.into());
    }
    match stored(blob).await? {
        Some(stored) if stored.has(content) => Ok(true),
        Some(stored) if stored.is_folder => Err(folder_is_there(shown)),
        // Only the condition failed.
        Some(_) if !refused.is_path_refused() && !is_block_list_gone => Ok(false),
        _ => Err(refused.into()),
    }
}

fn folder_is_there(shown: &str) -> WriteError {
    WriteError::File(FileError::invalid(shown, "a folder of that name exists"))
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024))
        .unwrap_or(MAX_MEMORY_KIB)
        .min(MAX_MEMORY_KIB)
}
