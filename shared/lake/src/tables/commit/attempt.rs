//! One commit at exactly one version: writes its log entry, and reads from the log what became of it.

use bytes::Bytes;
use chrono::Utc;
use deltalake::kernel::transaction::TransactionError;
use deltalake::kernel::{Action, CommitInfo};
use deltalake::logstore::CommitOrBytes;
use deltalake::{DeltaTable, DeltaTableError};
use fail::fail_point;
use uuid::Uuid;

use crate::tables::commit::change::Contents;
use crate::tables::error::TableErrorKind;
use crate::tables::log_entry::{self, COMMIT_ID};
use crate::tables::snapshot::Snapshot;

/// A commit that is attempted at one version of the log, which at most one commit can have.
pub(crate) struct Attempt {
    pub(super) version: u64,
    /// Written in the log entry, so that the commit can be recognised there.
    pub(super) id: Uuid,
    /// The time in milliseconds that the log entry records, if the table has in-commit timestamps.
    in_commit_timestamp: Option<i64>,
    contents: Box<Contents>,
}

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
    /// Returns an attempt at the version after this snapshot.
    pub(super) fn after(snapshot: &Snapshot, mut contents: Box<Contents>) -> Result<Self, TableErrorKind> {
        contents.complete(snapshot)?;
        Ok(Self {
            version: snapshot.version + 1,
            id: Uuid::new_v4(),
            in_commit_timestamp: snapshot.next_in_commit_timestamp(Utc::now().timestamp_millis()),
            contents,
        })
    }

    /// Writes the log entry with one conditional create, which the HTTP client may repeat. After an error the outcome is unknown: see [`Attempt::outcome`].
    ///
    /// deltalake's own commit would check the table's features by their names, and move on to later versions after a
    /// conflict. Here `features` has decided whether the table may be written to, and only this version is right, so the
    /// entry is written directly.
    pub(super) async fn send(&self, table: &DeltaTable) -> Result<(), TableErrorKind> {
        let failed = |error: DeltaTableError| TableErrorKind::delta("commit", &error);
        let entry = self.entry().map_err(|json_err| {
            let source = TransactionError::SerializeLogJson { json_err };
            failed(DeltaTableError::Transaction { source })
        })?;
        if cfg!(debug_assertions) {
            fail_point!("delta::written", |_| std::process::abort());
        }
        table
            .log_store()
            .write_commit_entry(self.version, CommitOrBytes::LogBytes(entry), self.id)
            .await
            .map_err(|error| failed(error.into()))?;
        if cfg!(debug_assertions) {
            fail_point!("delta::committed", |_| std::process::abort());
        }
        Ok(())
    }

    /// Returns the log entry: one action a line, the `commitInfo` first, as in-commit timestamps require.
    fn entry(&self) -> Result<Bytes, serde_json::Error> {
        let mut info = self.contents.operation.get_commit_info();
        let now = || Utc::now().timestamp_millis();
        info.timestamp = Some(self.in_commit_timestamp.unwrap_or_else(now));
        info.in_commit_timestamp = self.in_commit_timestamp;
        info.info.insert(COMMIT_ID.to_owned(), self.id.to_string().into());
        let mut entry = serde_json::to_vec(&Action::CommitInfo(info))?;
        for action in self.contents.all_actions() {
            entry.push(b'\n');
            serde_json::to_writer(&mut entry, &action)?;
        }
        Ok(entry.into())
    }

    /// Returns the actions that bring a snapshot to the version of this commit.
    pub(super) fn actions(&self) -> Vec<Action> {
        let info = Action::CommitInfo(CommitInfo {
            in_commit_timestamp: self.in_commit_timestamp,
            ..CommitInfo::default()
        });
        self.contents.all_actions().chain([info]).collect()
    }

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
