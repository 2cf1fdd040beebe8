//! One commit, at exactly the next version, and the truth about it when the answer was an error.

use std::collections::{BTreeMap, HashMap};

use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use fail::fail_point;
use serde::Deserialize;
use tracing::debug;
use uuid::Uuid;

use crate::TableError;
use crate::rows::EVENT_DATE;

/// Names the commit in its own `commitInfo`, so that it is recognised whoever was told about it.
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
pub(crate) enum Fate {
    /// It is in the log.
    Landed,
    /// Another commit has its version: it is not in the log and never will be.
    Overtaken,
    /// Its version is free: it is not in the log, and may yet come to be if the request is still on its way.
    Open,
}

/// What a commit carries.
pub(crate) struct Contents {
    pub(crate) actions: Vec<Action>,
    /// The next offset for each app id that advances.
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

impl Attempt {
    /// An attempt at the version after the one that is loaded.
    pub(crate) fn after(table: &DeltaTable) -> Self {
        Self {
            version: table.version().map_or(0, |version| version + 1),
            id: Uuid::new_v4(),
        }
    }

    /// Sends the commit. `Ok`: it landed, and this is the table with it. `Err`: ask [`Attempt::fate`].
    pub(crate) async fn send(
        &self,
        table: &DeltaTable,
        at: &str,
        contents: &Contents,
    ) -> Result<DeltaTable, TableError> {
        let properties = CommitProperties::default()
            // Any commit in between means that the plan must be looked at again, so it must not be skipped over.
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(false))
            // Ours is made after the commit, where its failure is not mistaken for the commit's.
            .with_create_checkpoint(false)
            .with_metadata([(COMMIT_ID.to_owned(), self.id.to_string().into())])
            .with_application_transactions(
                contents
                    .advancing
                    .iter()
                    .map(|(app_id, next)| Transaction::new(app_id, *next))
                    .collect(),
            );
        fail_point!("delta::written", |_| std::process::abort());
        let committed = async {
            CommitBuilder::from(properties)
                .with_actions(contents.actions.clone())
                .build(Some(table.snapshot()?), table.log_store(), contents.operation.clone())
                .await
        };
        let committed = committed
            .await
            .map_err(|error| TableError::delta(at, "commit to", &error))?;
        fail_point!("delta::committed", |_| std::process::abort());
        let mut table = table.clone();
        table.state = Some(committed.snapshot);
        Ok(table)
    }

    /// Reads what the log says of this attempt.
    pub(crate) async fn fate(&self, table: &DeltaTable, at: &str) -> Result<Fate, TableError> {
        let entry = table.log_store().read_commit_entry(self.version).await;
        let entry = entry.map_err(|error| TableError::delta(at, "read the last commit of", &error))?;
        let fate = match entry {
            None => Fate::Open,
            Some(commit) if self.wrote(&commit) => Fate::Landed,
            Some(_) => Fate::Overtaken,
        };
        debug!(
            table = at,
            version = self.version,
            fate = match fate {
                Fate::Landed => "landed",
                Fate::Overtaken => "overtaken",
                Fate::Open => "open",
            },
            "a commit was answered with an error"
        );
        Ok(fate)
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
