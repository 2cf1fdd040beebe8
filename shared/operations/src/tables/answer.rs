//! What maintenance of a table returns.

use serde::Serialize;

use super::state::TableState;
use crate::onelake_cost::OneLakeCost;
use xact_lake::Compacted;

/// The answer about one table.
#[derive(Debug, Serialize)]
pub struct TableAnswer {
    /// The table's name.
    pub table: &'static str,
    /// What was found or done.
    #[serde(flatten)]
    pub outcome: TableOutcome,
    /// `None` for a local table.
    #[serde(flatten)]
    pub cost: Option<OneLakeCost>,
}

/// What was found or done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TableOutcome {
    /// There is no table yet.
    Missing {
        /// Where it would be.
        location: String,
        /// Always true.
        missing: bool,
        /// The variable that names the location.
        #[serde(skip)]
        variable: &'static str,
    },
    /// Its state.
    State(TableState),
    /// Its small files were rewritten.
    Optimized(Optimized),
    /// Its unused files were listed or deleted.
    Vacuumed(VacuumReport),
    /// A checkpoint was written.
    Checkpointed(Checkpointed),
}

/// The sums of all commits of an optimize.
#[derive(Debug, Serialize)]
pub struct Optimized {
    /// Commits.
    pub commits: usize,
    /// Files that were rewritten.
    pub files_before: usize,
    /// Files that replace them.
    pub files_after: usize,
    /// Bytes of the files that were rewritten.
    pub bytes_before: u64,
    /// Bytes of the files that replace them.
    pub bytes_after: u64,
    /// All files of the table before.
    #[serde(skip)]
    pub files_of_table: usize,
}

impl Optimized {
    pub(super) fn new(files_of_table: usize, commits: &[Compacted]) -> Self {
        Self {
            commits: commits.len(),
            files_before: commits.iter().map(|commit| commit.files_before).sum(),
            files_after: commits.iter().map(|commit| commit.files_after).sum(),
            bytes_before: commits.iter().map(|commit| commit.bytes_before).sum(),
            bytes_after: commits.iter().map(|commit| commit.bytes_after).sum(),
            files_of_table,
        }
    }
}

/// Files that no version within the retention uses.
#[derive(Debug, Serialize)]
pub struct VacuumReport {
    /// Paths relative to the table.
    pub unused_files: Vec<String>,
    /// Whether they were deleted.
    pub deleted: bool,
    /// The retention.
    #[serde(skip)]
    pub retain_hours: u64,
}

/// A checkpoint.
#[derive(Debug, Serialize)]
pub struct Checkpointed {
    /// The version that it is of.
    #[serde(rename = "checkpoint")]
    pub version: u64,
    /// Log entries that were deleted; `None` if they were kept.
    pub log_entries_deleted: Option<usize>,
}
