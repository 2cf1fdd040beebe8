//! Why a time range cannot be reconciled.

use xact_kafka::admin::AdminError;
use xact_lake::TableError;
use xact_table_sink::OpenTableError;

/// Reasons why a time range cannot be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The range is empty.
    #[error("--from must be before --to")]
    EmptyRange,
    /// A table cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenTableError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A topic cannot be read.
    #[error(transparent)]
    Topic(#[from] AdminError),
}
