//! What became of an attempt, read from the log.

use deltalake::DeltaTable;

use crate::tables::commit::attempt::Attempt;
use crate::tables::error::TableErrorKind;
use crate::tables::log_entry;

/// What became of an [`Attempt`] whose request failed.
#[derive(Debug)]
pub(super) enum CommitOutcome {
    /// The attempt is in the log.
    Committed,
    /// Another commit has its version: the attempt is not in the log and never will be.
    Conflicted,
    /// Its version is free: the attempt is not in the log, but may still arrive if the request is on its way.
    Unknown,
}

impl Attempt {
    /// Reads the log entry of this attempt's version, and decides by the commit id in it.
    pub(super) async fn outcome(&self, table: &DeltaTable) -> Result<CommitOutcome, TableErrorKind> {
        let Some(entry) = log_entry::read(table, self.version).await? else {
            return Ok(CommitOutcome::Unknown);
        };
        let commit_id = log_entry::commit_info(&entry).and_then(|info| info.xact_commit_id);
        if commit_id.is_some_and(|id| id == self.id.to_string()) {
            Ok(CommitOutcome::Committed)
        } else {
            Ok(CommitOutcome::Conflicted)
        }
    }
}
