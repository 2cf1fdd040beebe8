//! Why a table cannot be maintained.

use xact_lake::{TableError, TableErrorKind};
use xact_table_sink::OpenTableError;

/// Reasons why a table cannot be maintained.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The settings say that no tables are written.
    #[error("ENABLE_DELTA_WRITES=false: these settings write no tables. Set it to true to maintain them")]
    Disabled,
    /// The table cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenTableError),
    /// The retention of a vacuum is too short.
    #[error("{0}. If nobody reads or writes it: --allow-short-retention")]
    ShortRetention(TableError),
    /// The table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl TablesError {
    pub(super) fn of_vacuum(error: TableError) -> Self {
        match error.kind {
            TableErrorKind::Refused { .. } => Self::ShortRetention(error),
            _ => Self::Table(error),
        }
    }
}
