//! Why the content of a file was not written.

use std::io;

use crate::azure::service_error::RequestError;
use crate::files::FileError;

/// Why the content of a file was not written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum WriteError {
    /// A request failed.
    Request(#[from] RequestError),
    /// Reading the source failed.
    Source(#[from] io::Error),
    /// The source does not have the announced content, or the path cannot be written.
    File(#[from] FileError),
}
