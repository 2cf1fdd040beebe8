//! Why the content of a file was not written.

use std::io;

use crate::azure::service_error::RequestError;
use crate::files::FileError;

/// Why the content of a file was not written.
pub(crate) enum WriteError {
    /// A request failed.
    Request(RequestError),
    /// Reading the source failed.
    Source(io::Error),
    /// The source does not have the announced content, or the path cannot be written.
    File(FileError),
}

impl From<RequestError> for WriteError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<azure_core::Error> for WriteError {
    fn from(error: azure_core::Error) -> Self {
        Self::Request(error.into())
    }
}

impl From<FileError> for WriteError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}
