//! Why an operation on a table failed, in kinds that need different reactions.
//!
//! The code of this module works with a [`TableErrorKind`], which does not name the table. [`crate::Table`] knows its
//! location and adds it once, to what a caller gets: a [`TableError`].

mod classify;

use std::fmt;

use crate::tables::features::Obstacle;
use xact_contracts::ids::AppId;

/// Why an operation on a table failed. No row is lost by it: the rows are still the caller's.
#[derive(Debug, thiserror::Error)]
#[error("the Delta table {at} {kind}")]
pub struct TableError {
    /// The table's location.
    pub at: String,
    /// What happened.
    pub kind: TableErrorKind,
}

impl TableError {
    /// Returns whether waiting may be enough.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

/// What happened to a table. The text continues "the Delta table …".
#[derive(Debug)]
pub enum TableErrorKind {
    /// The storage is unavailable: keep the rows, back off, try again. It may pass by itself.
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The storage's reason.
        reason: String,
    },
    /// The table does not have the columns that the rows need, and why not. It does not pass by itself.
    Schema(String),
    /// The log or a data file cannot be read, and which. It does not pass by itself.
    Corrupt(String),
    /// The table uses a Delta feature that this writer does not support. It does not pass by itself.
    Feature {
        /// The features, and what uses them.
        reason: String,
        /// What to do, as Spark SQL.
        remedy: String,
    },
    /// The table was restored to an earlier version. The rows written since have to be read again: see
    /// [`crate::Table::positions`].
    Restored {
        /// The source that has to be read again.
        app_id: AppId,
        /// The offset to read from.
        position: i64,
        /// The offset up to which this process had written the source.
        written: i64,
    },
    /// The request could lose data, and how.
    Refused(String),
}

impl fmt::Display for TableErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { action, reason } => write!(
                f,
                "is unavailable: cannot {action}: {reason}; the rows are kept and tried again. Check that the storage is \
                 reachable, has space, and that this process may write there"
            ),
            Self::Schema(reason) => write!(
                f,
                "does not fit the rows: {reason}. Give the table its columns back (ALTER TABLE), or stop its writers and \
                 move it away: the next row creates it"
            ),
            Self::Corrupt(reason) => write!(
                f,
                "is damaged: {reason}. Nothing is written to it until that is repaired: put the named file back from a \
                 copy, or restore the table to an earlier version (RESTORE TABLE; the rows written since are read from \
                 the topic again, as far as it still holds them), or stop its writers, move it away and reprocess"
            ),
            Self::Feature { reason, remedy } => write!(
                f,
                "cannot be written to as it is: {reason}. The rows are kept, and writing resumes by itself after: {remedy}"
            ),
            Self::Restored {
                app_id,
                position,
                written,
            } => write!(
                f,
                "was restored to an earlier version: it has the rows of {app_id} up to offset {position}, and had them up \
                 to {written}. The topic is read again from there"
            ),
            Self::Refused(reason) => write!(f, "was not changed: {reason}"),
        }
    }
}

impl TableErrorKind {
    /// Adds the table's location.
    pub(crate) fn at(self, location: impl fmt::Display) -> TableError {
        TableError {
            at: location.to_string(),
            kind: self,
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn obstacles(obstacles: &[Obstacle]) -> Self {
        let join = |text: fn(&Obstacle) -> String| obstacles.iter().map(text).collect::<Vec<_>>().join("; ");
        Self::Feature {
            reason: join(|obstacle| format!("{} ({})", obstacle.reason, obstacle.feature)),
            remedy: join(|obstacle| obstacle.remedy.clone()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "take an error or a text, for map_err")]
impl TableErrorKind {
    pub(crate) fn unavailable(action: &'static str, reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self::Unavailable { action, reason }
    }

    pub(crate) fn schema(reason: impl ToString) -> Self {
        Self::Schema(reason.to_string())
    }

    pub(crate) fn corrupt(reason: impl ToString) -> Self {
        Self::Corrupt(reason.to_string())
    }
}
