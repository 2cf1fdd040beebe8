//! The requests for one blob: properties, Put Blob, Put Block, Put Block List.

use std::collections::HashMap;
use std::num::NonZero;

use azure_core::http::{ClientMethodOptions, Context, Etag};
use azure_storage_blob::clients::{BlobClient, BlockBlobClient};
use azure_storage_blob::models::{
    BlobClientGetPropertiesResultHeaders, BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions,
    BlockBlobClientUploadOptions, BlockLookupList,
};
use uuid::Uuid;

use crate::azure::blob_transport::ContentMd5;
use crate::azure::service_error::RequestError;
use crate::files::Content;
use crate::files::blobs::block::{BLOCK_BYTES, Block};

/// Name of the metadata with the file's SHA-256, so that a lookup need not read the file.
const SHA256_METADATA: &str = "xact_sha256";
/// Name of the metadata with which Azure Storage marks a folder for Blob clients.
const IS_FOLDER_METADATA: &str = "hdi_isfolder";

/// What is stored at a path.
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    /// `None` if the writer stored none, or the service does not keep metadata.
    pub(crate) sha256: Option<String>,
    pub(crate) is_folder: bool,
}

impl Stored {
    /// Returns whether this is a file with exactly this content.
    pub(super) fn has(&self, content: Content<'_>) -> bool {
        !self.is_folder && self.bytes == content.bytes && self.sha256.as_deref() == Some(content.sha256)
    }
}

/// Whether an existing file is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    Never,
    Always,
}

impl Overwrite {
    fn condition(self) -> Option<Etag> {
        (self == Self::Never).then(|| Etag::from("*"))
    }
}

pub(super) async fn stored(blob: &BlobClient) -> Result<Option<Stored>, RequestError> {
    let found = match blob.get_properties(None).await.map_err(RequestError::from) {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = found.metadata()?;
    let named = |name: &str| {
        metadata
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    Ok(Some(Stored {
        bytes: found.content_length()?.unwrap_or(0),
        sha256: named(SHA256_METADATA).cloned(),
        is_folder: named(IS_FOLDER_METADATA).is_some_and(|value| value.eq_ignore_ascii_case("true")),
    }))
}

pub(super) async fn upload(
    client: &BlockBlobClient,
    block: &Block,
    overwrite: Overwrite,
    content: Content<'_>,
) -> Result<(), RequestError> {
    let options = BlockBlobClientUploadOptions {
        if_none_match: overwrite.condition(),
        metadata: Some(metadata(content)),
        // Not in parts, because the content is in memory already.
        partition_size: NonZero::new(BLOCK_BYTES),
        // Without it, each call reads the limits of this process from several files.
        parallel: NonZero::new(1),
        method_options: with_md5(block),
        ..BlockBlobClientUploadOptions::default()
    };
    client.upload(block.bytes.clone().into(), Some(options)).await?;
    Ok(())
}

pub(super) async fn stage(client: &BlockBlobClient, id: &Uuid, block: Block) -> Result<(), RequestError> {
    let options = BlockBlobClientStageBlockOptions {
        method_options: with_md5(&block),
        ..BlockBlobClientStageBlockOptions::default()
    };
    let length = block.bytes.len() as u64;
    client
        .stage_block(id.as_bytes(), length, block.bytes.into(), Some(options))
        .await?;
    Ok(())
}

pub(super) async fn commit(
    client: &BlockBlobClient,
    ids: &[Uuid],
    overwrite: Overwrite,
    content: Content<'_>,
) -> Result<(), RequestError> {
    let list = BlockLookupList {
        latest: Some(ids.iter().map(|id| id.as_bytes().to_vec()).collect()),
        ..BlockLookupList::default()
    };
    let options = BlockBlobClientCommitBlockListOptions {
        if_none_match: overwrite.condition(),
        metadata: Some(metadata(content)),
        ..BlockBlobClientCommitBlockListOptions::default()
    };
    client.commit_block_list(list.try_into()?, Some(options)).await?;
    Ok(())
}

fn metadata(content: Content<'_>) -> HashMap<String, String> {
    HashMap::from([(SHA256_METADATA.to_owned(), content.sha256.to_owned())])
}

fn with_md5(block: &Block) -> ClientMethodOptions<'static> {
    ClientMethodOptions {
        context: Context::new().with_value(ContentMd5(block.md5)),
    }
}
