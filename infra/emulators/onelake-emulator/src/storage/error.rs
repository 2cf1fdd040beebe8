//! Errors of the storage, and the answers of the protocols to them.

use std::io;

use crate::errors::{self, ErrorResponse};
use crate::verbs::Protocol;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the path does not exist")]
    NotFound,
    #[error("the source of the rename does not exist")]
    SourceNotFound,
    #[error("the folder of the new path does not exist")]
    ParentNotFound,
    #[error("the path already exists")]
    Exists,
    #[error("a file is in the place of a folder, or a folder in the place of a file")]
    WrongKind,
    #[error("the folder is not empty")]
    NotEmpty,
    #[error("a folder cannot be moved into itself")]
    IntoItself,
    #[error("a condition of the request is not met")]
    ConditionNotMet,
    #[error("the file is not modified")]
    NotModified,
    #[error("the staged data has a gap, or does not end at the position")]
    WrongPosition,
    #[error("the block list has an unknown block")]
    UnknownBlock,
    #[error("a file of the Data Lake protocol does not accept blocks")]
    WrittenByDfs,
    #[error("file system error: {0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// Returns the answer of a protocol.
    ///
    /// The answer of the Blob endpoint of a hierarchical namespace to a blob over a folder, or below a file, is not
    /// documented. It is a 409; one user reports "The requested operation is not allowed in the current state of the
    /// entity" (Azure/azure-cli#23783). The emulator answers 409 `PathConflict`, the code of the Data Lake protocol, and
    /// 409 `BlobAlreadyExists` with `If-None-Match: *` over a folder, because conditions are checked first. A client should
    /// not rely on the code, but check the path: `x-ms-resource-type` distinguishes folders.
    pub(crate) fn error_response(self, protocol: Protocol) -> ErrorResponse {
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
            Self::Io(error) => return error.into(),
        };
        match protocol {
            Protocol::Dfs => dfs.into(),
            Protocol::Blob => blob.into(),
        }
    }
}

/// Whether a path leads to nothing: a name is missing, a file is in the way, or a link is, which is never followed.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// A result that is `None` instead of an error if a path leads to nothing.
pub(crate) trait IfFound<T, E> {
    fn if_found(self) -> Result<Option<T>, E>;
}

impl<T> IfFound<T, io::Error> for io::Result<T> {
    fn if_found(self) -> io::Result<Option<T>> {
        self.map(Some)
            .or_else(|error| if is_absence(&error) { Ok(None) } else { Err(error) })
    }
}

impl<T> IfFound<T, StoreError> for Result<T, StoreError> {
    fn if_found(self) -> Result<Option<T>, StoreError> {
        match self {
            Err(StoreError::NotFound) => Ok(None),
            found => found.map(Some),
        }
    }
}
