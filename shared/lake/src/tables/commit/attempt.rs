//! One commit, at exactly the next version, and what became of it when the answer was an error.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::Utc;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::CommitOrBytes;
use deltalake::protocol::{DeltaOperation, SaveMode};
use fail::fail_point;
use tracing::debug;
use uuid::Uuid;

use crate::tables::error::TableError;
use crate::tables::log_entry::{COMMIT_ID, commit_info, read_entry};
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::snapshot::Snapshot;
use xact_contracts::ids::AppId;

/// A commit that has been tried at one version of the log, which at most one commit can take.
///
/// Its version is known before it is sent, because it is refused (not moved on to a later version) if another commit
/// came first. So the log entry of that version tells what became of it, whatever the answer was.
pub(crate) struct Attempt {
    pub(crate) version: u64,
    id: Uuid,
    /// The commit's own time in milliseconds, for a table whose commits carry one.
    pub(crate) in_commit_timestamp: Option<i64>,
}

/// What became of an [`Attempt`].
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// It is in the log.
    Committed,
    /// Another commit has its version: it is not in the log and never will be.
    Conflicted,
    /// Its version is free: it is not in the log, but may still arrive if the request is on its way.
    Unknown,
}

/// What a commit carries.
pub(crate) struct Contents {
    pub(crate) actions: Vec<Action>,
    /// The next offset for each app id that advances; they become `txn` actions.
    pub(crate) advancing: BTreeMap<AppId, i64>,
    /// What the log's history says of it.
    pub(crate) operation: DeltaOperation,
}

/// What the log's history says of rows that were added.
pub(crate) fn append_operation() -> DeltaOperation {
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: Some(vec![EVENT_DATE.to_owned()]),
        predicate: None,
    }
}

impl Contents {
    /// Adds what every commit to this table carries, and refuses what none may.
    pub(crate) fn complete(&mut self, snapshot: &Snapshot) -> Result<(), TableError> {
        for (app_id, position) in snapshot.restored() {
            self.advancing.entry(app_id.clone()).or_insert(*position);
        }
        let removes_rows = |action: &Action| matches!(action, Action::Remove(remove) if remove.data_change);
        match snapshot.features.refuse_removal() {
            Some(obstacle) if self.actions.iter().any(removes_rows) => {
                Err(TableError::obstacles(&snapshot.at, &[obstacle]))
            }
            _ => Ok(()),
        }
    }

    /// All that the log entry holds besides its `commitInfo`.
    pub(crate) fn all_actions(&self) -> Vec<Action> {
        let transactions = self.transactions().into_iter().map(Action::Txn);
        self.actions.iter().cloned().chain(transactions).collect()
    }

    fn transactions(&self) -> Vec<Transaction> {
        let advancing = self.advancing.iter();
        advancing
            .map(|(app_id, next)| Transaction::new(app_id, *next))
            .collect()
    }
}

impl Attempt {
    /// An attempt at the version after the one that is loaded.
    pub(crate) fn after(snapshot: &Snapshot) -> Self {
        Self {
            version: snapshot.version + 1,
            id: Uuid::new_v4(),
            in_commit_timestamp: snapshot.next_in_commit_timestamp(Utc::now().timestamp_millis()),
        }
    }

    /// The version as the API has it.
    pub(crate) fn table_version(&self) -> Option<i64> {
        i64::try_from(self.version).ok()
    }

    /// Writes the log entry: one request. `Err`: ask [`Attempt::outcome`].
    ///
    /// deltalake would check the table's features by their names, look for the next version and try later ones. Here
    /// `features` has decided whether the table may be written to, and only the next version will do, so the entry is
    /// written directly.
    pub(crate) async fn send(&self, snapshot: &Snapshot, contents: &Contents) -> Result<(), TableError> {
        let failed = |error: DeltaTableError| TableError::delta(&snapshot.at, "commit to", &error);
        let entry = self.entry(contents).map_err(|json_err| {
            let source = TransactionError::SerializeLogJson { json_err };
            failed(DeltaTableError::Transaction { source })
        })?;
        fail_point!("delta::written", |_| std::process::abort());
        snapshot
            .table
            .log_store()
            .write_commit_entry(self.version, CommitOrBytes::LogBytes(entry), self.id)
            .await
            .map_err(|error| failed(error.into()))?;
        fail_point!("delta::committed", |_| std::process::abort());
        Ok(())
    }

    /// The log entry: one action a line, the `commitInfo` first, as in-commit timestamps want it.
    fn entry(&self, contents: &Contents) -> Result<Bytes, serde_json::Error> {
        let mut info = contents.operation.get_commit_info();
        info.timestamp = Some(
            self.in_commit_timestamp
                .unwrap_or_else(|| Utc::now().timestamp_millis()),
        );
        info.in_commit_timestamp = self.in_commit_timestamp;
        info.info.insert(COMMIT_ID.to_owned(), self.id.to_string().into());
        let mut entry = serde_json::to_vec(&Action::CommitInfo(info))?;
        for action in contents.all_actions() {
            entry.push(b'\n');
            serde_json::to_writer(&mut entry, &action)?;
        }
        Ok(entry.into())
    }

    /// What the entry says of itself, as far as the state after it depends on that.
    pub(crate) fn commit_info(&self) -> Action {
        Action::CommitInfo(deltalake::kernel::CommitInfo {
            in_commit_timestamp: self.in_commit_timestamp,
            ..Default::default()
        })
    }

    /// Reads from the log what became of this attempt.
    pub(crate) async fn outcome(&self, snapshot: &Snapshot) -> Result<CommitOutcome, TableError> {
        let outcome = match read_entry(&snapshot.table, self.version, &snapshot.at).await? {
            None => CommitOutcome::Unknown,
            Some(entry) if self.wrote(&entry) => CommitOutcome::Committed,
            Some(_) => CommitOutcome::Conflicted,
        };
        debug!(
            table = snapshot.at,
            version = self.version,
            ?outcome,
            "a commit was answered with an error"
        );
        Ok(outcome)
    }

    fn wrote(&self, commit: &[u8]) -> bool {
        commit_info(commit).is_some_and(|info| info.xact_commit_id.is_some_and(|id| id == self.id.to_string()))
    }
}
