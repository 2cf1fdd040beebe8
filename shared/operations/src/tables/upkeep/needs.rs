//! What a table needs. The run and its plan ask here, so that the plan lists what the run does.

use crate::error::OperationError;
use crate::leftovers::LeftoversRequest;
use crate::tables::VacuumOptions;
use xact_lake::{PlannedCompaction, Table, TableError, TableErrorKind, TableRow};

/// Age of unfinished uploads that are deleted: an upload takes minutes.
const LEFTOVERS_HOURS: u64 = 24;

/// Whether something is done, or only listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Run,
    Plan,
}

/// What a table needs before its unused files are deleted.
#[derive(Debug)]
pub(super) struct Needs {
    /// Data files of the table.
    pub(super) files: usize,
    /// Small files to rewrite, one commit each.
    pub(super) rewrite: Vec<PlannedCompaction>,
    /// The latest version.
    pub(super) version: u64,
    /// Whether the last checkpoint is of that version.
    has_checkpoint: bool,
}

impl Needs {
    /// Reads the log of a table; `None` if the table does not exist.
    pub(super) async fn of<R: TableRow>(table: &Table<R>, target_bytes: u64) -> Result<Option<Self>, OperationError> {
        let Some(info) = table.info().await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            files: info.files,
            rewrite: table.plan_optimize(target_bytes).await?,
            version: info.version,
            has_checkpoint: info.checkpoint == Some(info.version),
        }))
    }

    /// Returns whether small files are rewritten.
    pub(super) fn optimize(&self) -> bool {
        !self.rewrite.is_empty()
    }

    /// Returns whether a checkpoint is written after this number of commits of the run. Old log entries are deleted after a
    /// checkpoint only, since they are needed without it.
    pub(super) fn checkpoint(&self, commits: usize) -> bool {
        commits > 0 || !self.has_checkpoint
    }
}

/// Returns how many log entries a clean-up deletes; `None` if a feature of the table leaves its log to another program.
pub(super) fn of_this_program(cleaned: Result<Option<usize>, TableError>) -> Result<Option<usize>, TableError> {
    match cleaned {
        Err(error) if matches!(error.kind, TableErrorKind::Refused(_)) => Ok(None),
        cleaned => cleaned,
    }
}

/// Returns how files that no version within the retention uses are found.
pub(super) fn unused_files(retain_hours: u64, effect: Effect) -> VacuumOptions {
    VacuumOptions {
        retain_hours,
        allow_short_retention: false,
        yes: effect == Effect::Run,
    }
}

/// Returns how unfinished uploads are found.
pub(super) fn leftovers(effect: Effect) -> LeftoversRequest {
    LeftoversRequest {
        older_than_hours: LEFTOVERS_HOURS,
        execute: effect == Effect::Run,
    }
}
