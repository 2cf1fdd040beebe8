//! Why an operation cannot be carried out.

use xact_kafka::ProducerError;
use xact_kafka::admin::{AdminError, TombstoneError};
use xact_lake::{FileError, OpenFilesError, TableError};
use xact_table_sink::OpenTableError;

/// Reasons why an operation cannot be carried out. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The operation itself refuses the request, or gives up.
    #[error("{0}")]
    Refused(String),
    /// A broker cannot be reached or refuses.
    #[error(transparent)]
    Kafka(#[from] AdminError),
    /// A producer cannot be created.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// A tombstone was not acknowledged.
    #[error(transparent)]
    Tombstone(#[from] TombstoneError),
    /// The files cannot be opened.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A table cannot be opened.
    #[error(transparent)]
    OpenTable(#[from] OpenTableError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl From<String> for OperationError {
    fn from(text: String) -> Self {
        Self::Refused(text)
    }
}

/// Returns the error of an operation that refuses a request.
pub(crate) fn refuse<T>(text: impl Into<String>) -> Result<T, OperationError> {
    Err(OperationError::Refused(text.into()))
}
