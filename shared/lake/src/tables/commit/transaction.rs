//! The rounds that commit a change: plan, attempt, outcome.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use tracing::debug;

use crate::tables::commit::attempt::{Attempt, CommitOutcome};
use crate::tables::commit::change::{Change, Contents, Plan, PlansOn};
use crate::tables::commit::checkpoint;
use crate::tables::data_files;
use crate::tables::error::TableErrorKind;
use crate::tables::handle::Handle;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;

/// How often the limit of the wait between two attempts doubles.
const MAX_BACKOFF_DOUBLINGS: u32 = 5;

/// Commits one change of a table. It has the table's handle to itself until it ends.
pub(crate) struct Transaction<'a, R, C: Change> {
    handle: &'a mut Handle<R>,
    change: &'a mut C,
    /// A commit that was sent and whose outcome is unknown.
    unresolved: Option<Pending<C::Outcome>>,
    /// Attempts that conflicted with a commit of another writer.
    conflicts: u32,
    /// Attempts that failed and are not in the log.
    failures: u32,
}

/// A commit that is to be sent, or was.
struct Pending<T> {
    attempt: Attempt,
    /// The outcome of the change once this is committed. `None`: it only prepares the change.
    outcome: Option<T>,
}

impl<T> Pending<T> {
    fn committed(self) -> Round<T> {
        self.outcome.map_or(Continue(()), Break)
    }
}

/// How a round ends. `Break`: the change is done, with this outcome. `Continue`: another round is needed.
type Round<T> = ControlFlow<T>;

impl<'a, R: TableRow, C: Change> Transaction<'a, R, C> {
    pub(crate) fn new(handle: &'a mut Handle<R>, change: &'a mut C) -> Self {
        Self {
            handle,
            change,
            unresolved: None,
            conflicts: 0,
            failures: 0,
        }
    }

    /// Commits the change. After an error the commit may still be in the log or arrive later. Repeating the change is safe.
    pub(crate) async fn run(mut self) -> Result<C::Outcome, TableErrorKind> {
        loop {
            match self.round().await {
                Ok(Break(outcome)) => return Ok(outcome),
                Ok(Continue(())) => {}
                Err(error) => {
                    self.delete_staged_files().await;
                    return Err(error);
                }
            }
        }
    }

    /// Runs one round. After most errors the handle has no snapshot, and the next call loads the table.
    async fn round(&mut self) -> Result<Round<C::Outcome>, TableErrorKind> {
        let snapshot = match (self.open().await?, self.change.outcome_without_table()) {
            (Some(snapshot), _) => snapshot,
            (None, Some(outcome)) => return Ok(Break(outcome)),
            (None, None) => self.handle.last_known_or_create().await?,
        };
        // An unresolved commit comes first. A plan made before its outcome is known could find its rows and report them as
        // skipped.
        if let Some(pending) = self.unresolved.take() {
            return self.resolve(pending, snapshot).await;
        }
        let mut snapshot = self.check_writable(snapshot).await?;
        match self.change.plan(&mut snapshot).await? {
            Plan::Done(outcome) => {
                self.handle.keep(snapshot);
                Ok(Break(outcome))
            }
            Plan::Commit(contents, outcome) => self.attempt(snapshot, contents, Some(outcome)).await,
            Plan::CommitFirst(contents) => self.attempt(snapshot, contents, None).await,
        }
    }

    /// Returns the table, if it exists, in the state that the change plans on.
    async fn open(&mut self) -> Result<Option<Snapshot>, TableErrorKind> {
        // An unresolved attempt is for the version after the last known one, which is therefore kept, unless the table was
        // replaced and has to be loaded again.
        match C::PLANS_ON {
            PlansOn::Latest if self.unresolved.is_none() => self.handle.latest().await,
            PlansOn::Latest | PlansOn::LastKnown => self.handle.last_known().await,
        }
    }

    /// Refuses a table that cannot be written to, after checking its latest version: the cause may have been removed.
    async fn check_writable(&mut self, mut snapshot: Snapshot) -> Result<Snapshot, TableErrorKind> {
        if snapshot.check_writable().is_ok() {
            return Ok(snapshot);
        }
        self.handle.follow(&mut snapshot).await?;
        match snapshot.check_writable() {
            Ok(()) => Ok(snapshot),
            Err(error) => {
                self.handle.keep(snapshot);
                Err(error)
            }
        }
    }

    /// Attempts a commit at the version after the snapshot.
    async fn attempt(
        &mut self,
        snapshot: Snapshot,
        contents: Box<Contents>,
        outcome: Option<C::Outcome>,
    ) -> Result<Round<C::Outcome>, TableErrorKind> {
        let attempt = Attempt::after(&snapshot, contents)?;
        self.send(Pending { attempt, outcome }, snapshot).await
    }

    async fn send(
        &mut self,
        pending: Pending<C::Outcome>,
        mut snapshot: Snapshot,
    ) -> Result<Round<C::Outcome>, TableErrorKind> {
        if let Err(error) = pending.attempt.send(&snapshot.table).await {
            return self.after_failed_send(pending, snapshot, error).await;
        }
        // The change is committed, so nothing after this may fail it. A snapshot to which the commit cannot be applied is
        // dropped, and the next call loads the table.
        if let Ok(true) = snapshot.apply(&pending.attempt.actions()) {
            let snapshot = checkpoint::make_if_due(self.handle, snapshot).await;
            self.handle.keep(snapshot);
        }
        Ok(pending.committed())
    }

    /// Finds out from the log what became of an attempt whose request failed, and prepares the next round.
    ///
    /// The error itself does not decide it. "Already exists" may be the answer to a second copy of the same request, whose
    /// first copy was executed; a timeout may mean anything.
    async fn after_failed_send(
        &mut self,
        pending: Pending<C::Outcome>,
        snapshot: Snapshot,
        error: TableErrorKind,
    ) -> Result<Round<C::Outcome>, TableErrorKind> {
        let (pending, outcome) = self.read_outcome(pending, &snapshot).await?;
        match outcome {
            CommitOutcome::Committed => Ok(self.committed(pending, snapshot).await),
            CommitOutcome::Conflicted => {
                self.conflicts += 1;
                if self.conflicts >= self.handle.options.conflict_attempts {
                    let reason = format!("other writers committed first {} times", self.conflicts);
                    return Err(TableErrorKind::unavailable("commit", reason));
                }
                // Wait first, then follow the log: a state that is read before the wait is outdated after it, and a
                // writer that commits one batch after the other would win every time.
                self.back_off().await;
                self.follow_log(snapshot).await
            }
            CommitOutcome::Unknown => {
                self.unresolved = Some(pending);
                self.failures += 1;
                if !error.is_transient() || self.failures >= self.handle.options.storage_attempts {
                    return Err(error);
                }
                self.back_off().await;
                self.handle.keep(snapshot);
                Ok(Continue(()))
            }
        }
    }

    /// Decides an attempt whose outcome was unknown, or sends it again: the same version, id and actions.
    /// Whichever copy arrives first, the log has one of them.
    async fn resolve(
        &mut self,
        pending: Pending<C::Outcome>,
        snapshot: Snapshot,
    ) -> Result<Round<C::Outcome>, TableErrorKind> {
        let (pending, outcome) = self.read_outcome(pending, &snapshot).await?;
        match outcome {
            CommitOutcome::Committed => Ok(self.committed(pending, snapshot).await),
            CommitOutcome::Conflicted => self.follow_log(snapshot).await,
            CommitOutcome::Unknown if pending.attempt.version == snapshot.version + 1 => {
                self.send(pending, snapshot).await
            }
            // The table is past that version and its log entry is gone, or it is another table. Nothing can be concluded.
            CommitOutcome::Unknown => {
                self.unresolved = Some(pending);
                let reason = "its log entry is gone, or the table was replaced";
                Err(TableErrorKind::unavailable(
                    "read the outcome of the last commit",
                    reason,
                ))
            }
        }
    }

    /// Reads the outcome of an attempt. If the log cannot be read, the attempt stays unresolved.
    async fn read_outcome(
        &mut self,
        pending: Pending<C::Outcome>,
        snapshot: &Snapshot,
    ) -> Result<(Pending<C::Outcome>, CommitOutcome), TableErrorKind> {
        let read = pending.attempt.outcome(&snapshot.table).await;
        let (table, version) = (&self.handle.at, pending.attempt.version);
        debug!(table, version, outcome = ?read, "a commit failed; read its outcome from the log");
        match read {
            Ok(outcome) => Ok((pending, outcome)),
            Err(error) => {
                self.unresolved = Some(pending);
                Err(error)
            }
        }
    }

    /// Brings the table to its latest version for the next round.
    async fn follow_log(&mut self, mut snapshot: Snapshot) -> Result<Round<C::Outcome>, TableErrorKind> {
        self.handle.follow(&mut snapshot).await?;
        self.handle.keep(snapshot);
        Ok(Continue(()))
    }

    /// Ends a round whose attempt was found in the log.
    async fn committed(&mut self, pending: Pending<C::Outcome>, mut snapshot: Snapshot) -> Round<C::Outcome> {
        // The change is committed, even if the rest of the log cannot be read now.
        if self.handle.follow(&mut snapshot).await.is_ok() {
            self.handle.keep(snapshot);
        }
        pending.committed()
    }

    /// Deletes the data files of the change, unless a commit that may still arrive names them.
    async fn delete_staged_files(&mut self) {
        if self.unresolved.is_some() {
            return;
        }
        if let Ok(table) = self.handle.unloaded_table() {
            data_files::delete(&table, &self.change.staged_files()).await;
        }
    }

    /// Waits for a random time below a limit that doubles with each attempt (full jitter), so that writers that conflicted
    /// once do not conflict again.
    async fn back_off(&self) {
        let attempts = self.conflicts + self.failures;
        let doublings = attempts.saturating_sub(1).min(MAX_BACKOFF_DOUBLINGS);
        let limit: Duration = self.handle.options.backoff * (1 << doublings);
        tokio::time::sleep(limit.mul_f64(fastrand::f64())).await;
    }
}
