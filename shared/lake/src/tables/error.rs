//! Why a table could not be read or appended to, in kinds that want different reactions.

use std::error::Error;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::object_store;
use deltalake::parquet::errors::ParquetError;

use crate::tables::features::Obstacle;
use xact_contracts::ids::AppId;

/// Why a table could not be read or appended to. Nothing is lost by any of them: the rows are still the caller's.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Storage trouble: keep the rows, back off, try again. It may pass by itself.
    #[error(
        "cannot {action} the Delta table {table}: {reason}; the rows are kept and tried again. Check that the storage is reachable, has space, and that this process may write there"
    )]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The table's location.
        table: String,
        /// What the storage said.
        reason: String,
    },
    /// The table is not of the form that these rows have. It does not pass by itself.
    #[error(
        "the Delta table {table} does not fit the rows: {reason}. Give the table its columns back (ALTER TABLE), or stop its writers and move it away: the next row creates it"
    )]
    Schema {
        /// The table's location.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// The log or a data file cannot be read. It does not pass by itself.
    #[error(
        "the Delta table {table} is damaged: {reason}. Nothing is written to it until that is mended: put the file that is named back from a copy, or restore the table to an earlier version (RESTORE TABLE; the rows written since are read from the topic again, as long as it holds them), or stop its writers, move it away and reprocess"
    )]
    Corrupt {
        /// The table's location.
        table: String,
        /// What is damaged.
        reason: String,
    },
    /// Somebody has turned on what this writer does not do. It does not pass by itself.
    #[error(
        "the Delta table {table} cannot be written to as it is: {reason}. The rows are kept, and writing goes on by itself after: {remedy}"
    )]
    Feature {
        /// The table's location.
        table: String,
        /// The features, and what uses them.
        reason: String,
        /// What to do, in Spark's words.
        remedy: String,
    },
    /// Somebody has taken the table back to an earlier version. The rows written since have to be read again: see
    /// [`crate::Table::positions`].
    #[error(
        "the Delta table {table} was restored to an earlier version: it has the rows of {app_id} up to offset {position}, and had them up to {written}. It is read again from there"
    )]
    Restored {
        /// The table's location.
        table: String,
        /// The source that has to be read again.
        app_id: AppId,
        /// From here.
        position: i64,
        /// How far this process had written it.
        written: i64,
    },
    /// It was asked for something that could lose data.
    #[error("the Delta table {table} is left alone: {reason}")]
    Refused {
        /// The table's location.
        table: String,
        /// What could happen.
        reason: String,
    },
}

impl TableError {
    /// Whether waiting may be enough.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error or a text, as it comes")]
    pub(crate) fn unavailable(table: &str, action: &'static str, reason: impl ToString) -> Self {
        Self::Unavailable {
            action,
            table: table.to_owned(),
            reason: reason.to_string(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error or a text, as it comes")]
    pub(crate) fn schema(table: &str, reason: impl ToString) -> Self {
        Self::Schema {
            table: table.to_owned(),
            reason: reason.to_string(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error or a text, as it comes")]
    pub(crate) fn corrupt(table: &str, reason: impl ToString) -> Self {
        Self::Corrupt {
            table: table.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn obstacles(table: &str, obstacles: &[Obstacle]) -> Self {
        let of = |text: fn(&Obstacle) -> String| obstacles.iter().map(text).collect::<Vec<_>>().join("; ");
        Self::Feature {
            table: table.to_owned(),
            reason: of(|obstacle| format!("{} ({})", obstacle.reason, obstacle.feature)),
            remedy: of(|obstacle| obstacle.remedy.clone()),
        }
    }

    pub(crate) fn delta(table: &str, action: &'static str, error: &DeltaTableError) -> Self {
        match error {
            DeltaTableError::SchemaMismatch { .. }
            | DeltaTableError::UnsupportedColumnMapping { .. }
            | DeltaTableError::Transaction {
                source:
                    TransactionError::UnsupportedTableFeatures(_)
                    | TransactionError::TableFeaturesRequired(_)
                    | TransactionError::DeltaTableAppendOnly,
            } => Self::schema(table, error),
            DeltaTableError::InvalidJsonLog { .. }
            | DeltaTableError::InvalidStatsJson { .. }
            | DeltaTableError::MetadataError(_)
            | DeltaTableError::NoSchema => Self::corrupt(table, error),
            _ => Self::by_cause(table, action, error),
        }
    }

    /// An error from reading a data file that the log names.
    pub(crate) fn parquet(table: &str, file: &str, error: &ParquetError) -> Self {
        let of_storage = causes(error).find_map(|cause| cause.downcast_ref::<object_store::Error>());
        match of_storage {
            Some(object_store::Error::NotFound { .. }) => {
                Self::corrupt(table, format!("{file} is in its log but not in the storage"))
            }
            Some(_) => Self::unavailable(table, "read a file of", format!("{file}: {error}")),
            // The footer or a page says something that cannot be.
            None => Self::corrupt(table, format!("{file}: {error}")),
        }
    }

    /// delta-rs and its kernel wrap the causes at several depths, so the chain is walked. What is not known for
    /// certain counts as storage trouble: waiting does no harm, giving up would.
    fn by_cause(table: &str, action: &'static str, error: Cause<'_>) -> Self {
        let text = error.to_string();
        // The kernel appends its backtrace.
        let text = text.lines().next().unwrap_or_default();
        for cause in causes(error) {
            if cause.is::<object_store::Error>() || cause.is::<std::io::Error>() {
                return Self::unavailable(table, action, text);
            }
            if cause.is::<serde_json::Error>() {
                return Self::corrupt(table, text);
            }
        }
        // The kernel's error type is not ours to name; these are the beginnings of its messages.
        let kernel = text.strip_prefix("Kernel error: ").unwrap_or_default();
        if NOT_OURS.iter().any(|start| kernel.starts_with(start)) {
            Self::schema(table, kernel)
        } else if DAMAGE.iter().any(|start| kernel.starts_with(start)) {
            Self::corrupt(table, kernel)
        } else {
            Self::unavailable(table, action, text)
        }
    }
}

const NOT_OURS: [&str; 3] = ["Unsupported: ", "Schema error: ", "Invalid column mapping mode: "];
const DAMAGE: [&str; 8] = [
    "Json error: ",
    "Parser error: ",
    "Arrow error: Parquet error: ",
    "Invalid protocol action",
    "Invalid Checkpoint",
    "Invalid log path",
    "No table metadata",
    "No protocol found",
];

type Cause<'a> = &'a (dyn Error + 'static);

fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}
