//! What may come of a wish to the storage; the protocols say it in their own words.

use std::io;

use crate::errors::{self, Refusal};
use crate::verbs::Protocol;

/// Why the storage did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("nothing is there")]
    NotFound,
    #[error("the source of the rename is not there")]
    SourceNotFound,
    #[error("the folder for the new name is not there")]
    ParentNotFound,
    #[error("it is there already")]
    Exists,
    #[error("a file is where a folder belongs, or the other way round")]
    WrongKind,
    #[error("the folder is not empty")]
    NotEmpty,
    #[error("a folder cannot be moved into itself")]
    IntoItself,
    #[error("a condition of the request is not met")]
    ConditionNotMet,
    #[error("it has not changed")]
    NotModified,
    #[error("the staged data has a gap, or ends elsewhere")]
    WrongPosition,
    #[error("the block list names a block that was never sent")]
    UnknownBlock,
    #[error("blocks cannot be put to a file of the Data Lake protocol")]
    WrittenByDfs,
    #[error("the file system refused: {0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// The refusal in the words of a protocol.
    ///
    /// What the Blob endpoint of a hierarchical namespace answers to a blob put over a folder, or below a file, is not
    /// documented. Known is a 409; one user saw "The requested operation is not allowed in the current state of the
    /// entity" (Azure/azure-cli#23783). Here it is 409 `PathConflict`, the code of the Data Lake protocol for this case,
    /// and with `If-None-Match: *` over a folder 409 `BlobAlreadyExists`, because conditions come first. A client should
    /// not rely on the code, but look at what is there: `x-ms-resource-type` tells folders.
    pub(crate) fn refusal(self, protocol: Protocol) -> Refusal {
        let (dfs, blob) = match self {
            Self::NotFound => (errors::PATH_NOT_FOUND, errors::BLOB_NOT_FOUND),
            Self::SourceNotFound => (errors::SOURCE_NOT_FOUND, errors::BLOB_NOT_FOUND),
            Self::ParentNotFound => (errors::RENAME_PARENT_NOT_FOUND, errors::BLOB_NOT_FOUND),
            Self::Exists => (errors::PATH_EXISTS, errors::BLOB_EXISTS),
            Self::WrongKind => (errors::PATH_CONFLICT, errors::PATH_CONFLICT),
            Self::NotEmpty => (errors::DIRECTORY_NOT_EMPTY, errors::DIRECTORY_IS_NOT_EMPTY),
            Self::IntoItself => (errors::INVALID_RENAME_SOURCE, errors::INVALID_RENAME_SOURCE),
            Self::ConditionNotMet => (errors::CONDITION_NOT_MET, errors::CONDITION_NOT_MET),
            Self::NotModified => (errors::NOT_MODIFIED, errors::NOT_MODIFIED),
            Self::WrongPosition => (errors::INVALID_FLUSH_POSITION, errors::INVALID_FLUSH_POSITION),
            Self::UnknownBlock => (errors::INVALID_BLOCK_LIST, errors::INVALID_BLOCK_LIST),
            Self::WrittenByDfs => (errors::WRITTEN_BY_DFS, errors::WRITTEN_BY_DFS),
            Self::Io(error) => return Refusal::internal(&error),
        };
        match protocol {
            Protocol::Dfs => dfs.into(),
            Protocol::Blob => blob.into(),
        }
    }
}

/// Whether a path leads to nothing: a name is missing, a file is in the way, or a link is, which is never followed.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}
