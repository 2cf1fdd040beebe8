//! One commit, at exactly the next version, and what became of it when the answer was an error.

use std::collections::{BTreeMap, HashMap};

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use fail::fail_point;
use serde::Deserialize;
use tracing::debug;
use uuid::Uuid;

use crate::TableError;
use crate::rows::EVENT_DATE;
use crate::snapshot::{self, Snapshot};

/// Names the commit in its own `commitInfo`, so that it can be recognised in the log.
const COMMIT_ID: &str = "xactCommitId";

/// A commit that has been tried at one version of the log, which at most one commit can take.
///
/// Its version is known before it is sent, because it is refused (not moved on to a later version) if another commit
/// came first. So the log entry of that version tells what became of it, whatever the answer was.
pub(crate) struct Attempt {
    pub(crate) version: u64,
    id: Uuid,
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
    pub(crate) advancing: BTreeMap<String, i64>,
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
        }
    }

    /// The version as the API has it.
    pub(crate) fn table_version(&self) -> Option<i64> {
        i64::try_from(self.version).ok()
    }

    /// Writes the log entry: one request. `Err`: ask [`Attempt::outcome`].
    pub(crate) async fn send(&self, snapshot: &Snapshot, contents: &Contents) -> Result<(), TableError> {
        let failed = |error: DeltaTableError| TableError::delta(&snapshot.at, "commit to", &error);
        let properties = CommitProperties::default()
            .with_metadata([(COMMIT_ID.to_owned(), self.id.to_string().into())])
            .with_application_transactions(contents.transactions());
        // deltalake checks the actions against the table's protocol and serialises them. It would also look for the next
        // version and try later ones; here only the next version will do, so the entry is written directly.
        let loaded = snapshot.table.snapshot().map_err(failed)?;
        let log = snapshot.table.log_store();
        let prepared = CommitBuilder::from(properties)
            .with_actions(contents.actions.clone())
            .build(Some(loaded), log.clone(), contents.operation.clone())
            .into_prepared_commit_future()
            .await
            .map_err(failed)?;
        fail_point!("delta::written", |_| std::process::abort());
        log.write_commit_entry(self.version, prepared.commit_or_bytes().clone(), self.id)
            .await
            .map_err(|error| failed(error.into()))?;
        fail_point!("delta::committed", |_| std::process::abort());
        Ok(())
    }

    /// Reads from the log what became of this attempt.
    pub(crate) async fn outcome(&self, snapshot: &Snapshot) -> Result<CommitOutcome, TableError> {
        let outcome = match snapshot::read_entry(&snapshot.table, self.version, &snapshot.at).await? {
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
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct LogLine {
            commit_info: Option<HashMap<String, serde_json::Value>>,
        }
        let id = self.id.to_string();
        commit
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<LogLine>(line).ok()?.commit_info)
            .any(|info| info.get(COMMIT_ID).and_then(serde_json::Value::as_str) == Some(&id))
    }
}
