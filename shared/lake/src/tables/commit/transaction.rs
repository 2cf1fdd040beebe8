//! A change of the table: planned on one version, committed at exactly the next one, and planned again if another commit
//! came first.
//!
//! So whatever a plan relied on (a key that is absent, a file that is present) still holds when its commit is in the log,
//! and two changes that contradict each other cannot both be committed as planned. A commit whose answer was an error is
//! settled by reading the log. In the steady state of one writer nothing else is read: the state after its own commit is
//! known.

use std::time::Duration;

use deltalake::kernel::Add;
use tracing::debug;

use crate::tables::commit::attempt::{Attempt, CommitOutcome, Contents};
use crate::tables::commit::checkpoint;
use crate::tables::data_files;
use crate::tables::error::TableError;
use crate::tables::handle::Handle;
use crate::tables::options::TableOptions;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::{Followed, Snapshot};

/// Something to be done to a table, decided again for each version that it meets.
pub(crate) trait Change: Send {
    /// What is reported when it is done.
    type Outcome: Clone + Send;

    /// Whether a plan that finds nothing to do needs the latest version. One that is committed never does: a commit by
    /// another writer makes it conflict.
    const NEEDS_LATEST: bool;

    /// What to do to this version of the table.
    fn plan(&mut self, snapshot: &mut Snapshot)
    -> impl Future<Output = Result<Plan<Self::Outcome>, TableError>> + Send;

    /// Files that it has written and that a commit of its plan would name.
    fn staged(&self) -> Vec<Add>;

    /// The outcome if there is no table. `None`: the table is created.
    fn without_table(&self) -> Option<Self::Outcome>;
}

/// What a change wants of one version of the table.
pub(crate) enum Plan<T> {
    /// Nothing: it is done.
    Done(T),
    /// A commit, and the outcome if it lands.
    Commit(Box<Contents>, T),
    /// A commit that comes first; the change is planned again behind it.
    Prepare(Box<Contents>),
}

/// A commit that was sent, and is not known to be in the log or out of it.
struct Sent<T> {
    attempt: Attempt,
    contents: Box<Contents>,
    /// `None`: it only prepares the change.
    outcome: Option<T>,
}

impl<T> Sent<T> {
    /// What is to be sent as the commit after this snapshot.
    fn of(snapshot: &Snapshot, mut contents: Box<Contents>, outcome: Option<T>) -> Result<Self, TableError> {
        contents.complete(snapshot)?;
        Ok(Self {
            attempt: Attempt::after(snapshot),
            contents,
            outcome,
        })
    }
}

/// What is carried from round to round.
struct Rounds<T> {
    /// Sent, and neither in the log nor ruled out.
    open: Option<Sent<T>>,
    conflicts: u32,
    refusals: u32,
}

/// Carries a change out. After an error it may be in the log all the same if the storage could not be asked; repeating the
/// change tells.
pub(crate) async fn carry_out<R: TableRow, C: Change>(
    change: &mut C,
    handle: &mut Handle,
    options: &TableOptions,
) -> Result<C::Outcome, TableError> {
    let mut rounds = Rounds {
        open: None,
        conflicts: 0,
        refusals: 0,
    };
    loop {
        match round::<R, C>(change, handle, options, &mut rounds).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {}
            Err(error) => {
                // Files of an open attempt may be named by the log at any moment: those are never deleted.
                if let (None, Ok(table)) = (rounds.open, handle.unloaded(options)) {
                    data_files::discard(&table, &change.staged()).await;
                }
                return Err(error);
            }
        }
    }
}

/// One round. `Ok(None)`: another one is needed. After an error the handle has no snapshot, and the next call loads it.
async fn round<R: TableRow, C: Change>(
    change: &mut C,
    handle: &mut Handle,
    options: &TableOptions,
    rounds: &mut Rounds<C::Outcome>,
) -> Result<Option<C::Outcome>, TableError> {
    let found = match C::NEEDS_LATEST && rounds.open.is_none() {
        true => handle.latest::<R>(options).await?,
        false => handle.known::<R>(options).await?,
    };
    let mut snapshot = match (found, change.without_table()) {
        (Some(snapshot), _) => snapshot,
        (None, Some(outcome)) => return Ok(Some(outcome)),
        (None, None) => handle.known_or_create::<R>(options).await?,
    };
    if rounds.open.is_none() && snapshot.check_writable().is_err() {
        // Somebody may have mended it since.
        follow::<R>(handle, &mut snapshot, options).await?;
        if let Err(error) = snapshot.check_writable() {
            handle.keep(snapshot);
            return Err(error);
        }
    }
    if let Some(committed) = settle::<R, _>(handle, &mut snapshot, options, rounds).await? {
        handle.keep(snapshot);
        return Ok(Some(committed));
    }
    // An open attempt is sent again as it was: whichever copy arrives first, the log has one of them.
    let sent = match rounds.open.take() {
        Some(sent) => sent,
        None => match change.plan(&mut snapshot).await? {
            Plan::Done(outcome) => {
                handle.keep(snapshot);
                return Ok(Some(outcome));
            }
            Plan::Commit(contents, outcome) => Sent::of(&snapshot, contents, Some(outcome))?,
            Plan::Prepare(contents) => Sent::of(&snapshot, contents, None)?,
        },
    };
    let sent = rounds.open.insert(sent);
    match sent.attempt.send(&snapshot, &sent.contents).await {
        Ok(()) => {
            let outcome = sent.outcome.clone();
            let mut actions = sent.contents.all_actions();
            actions.push(sent.attempt.commit_info());
            rounds.open = None;
            if snapshot.apply(&actions)? {
                let snapshot = checkpoint::make_if_due::<R>(handle, snapshot, options).await;
                handle.keep(snapshot);
            }
            Ok(outcome)
        }
        Err(error) => after_error::<R, _>(handle, snapshot, options, error, rounds).await,
    }
}

/// Decides an open attempt, if there is one, before it is sent again.
async fn settle<R: TableRow, T: Clone>(
    handle: &mut Handle,
    snapshot: &mut Snapshot,
    options: &TableOptions,
    rounds: &mut Rounds<T>,
) -> Result<Option<T>, TableError> {
    let Some(sent) = &rounds.open else {
        return Ok(None);
    };
    match sent.attempt.outcome(snapshot).await? {
        CommitOutcome::Committed => {
            let outcome = sent.outcome.clone();
            rounds.open = None;
            follow::<R>(handle, snapshot, options).await?;
            Ok(outcome)
        }
        CommitOutcome::Conflicted => {
            rounds.open = None;
            follow::<R>(handle, snapshot, options).await?;
            Ok(None)
        }
        CommitOutcome::Unknown if snapshot.version + 1 == sent.attempt.version => Ok(None),
        // The table is past that version and its entry is gone, or it is another table: do not guess.
        CommitOutcome::Unknown => Err(TableError::unavailable(
            &handle.at,
            "read the last commit of",
            "its log entry is gone, or the table was replaced",
        )),
    }
}

/// A commit whose answer was an error may be in the log. `Ok(None)`: it is not, and another round may begin at once.
async fn after_error<R: TableRow, T: Clone>(
    handle: &mut Handle,
    mut snapshot: Snapshot,
    options: &TableOptions,
    error: TableError,
    rounds: &mut Rounds<T>,
) -> Result<Option<T>, TableError> {
    let Some(sent) = &rounds.open else {
        return Err(error);
    };
    match sent.attempt.outcome(&snapshot).await? {
        CommitOutcome::Committed => {
            let outcome = sent.outcome.clone();
            rounds.open = None;
            // The change is done, whatever the log says now.
            if follow::<R>(handle, &mut snapshot, options).await.is_ok() {
                handle.keep(snapshot);
            }
            Ok(outcome)
        }
        CommitOutcome::Conflicted => {
            rounds.open = None;
            rounds.conflicts += 1;
            if rounds.conflicts >= options.conflict_attempts {
                let reason = format!("other writers were faster {} times in a row", rounds.conflicts);
                return Err(TableError::unavailable(&handle.at, "commit to", reason));
            }
            // First the wait, then the look: what was seen before a wait would be outdated after it, and an owner that
            // commits one batch after the other would win each time.
            tokio::time::sleep(wait(options, rounds.conflicts + rounds.refusals)).await;
            follow::<R>(handle, &mut snapshot, options).await?;
            handle.keep(snapshot);
            Ok(None)
        }
        CommitOutcome::Unknown => {
            rounds.refusals += 1;
            debug!(table = handle.at, %error, tries = rounds.refusals, "the storage refused a commit");
            if error.is_transient() && rounds.refusals < options.storage_attempts {
                tokio::time::sleep(wait(options, rounds.conflicts + rounds.refusals)).await;
                handle.keep(snapshot);
                Ok(None)
            } else {
                Err(error)
            }
        }
    }
}

/// Brings the snapshot to the latest version, by the log's entries or by loading the table again.
async fn follow<R: TableRow>(
    handle: &mut Handle,
    snapshot: &mut Snapshot,
    options: &TableOptions,
) -> Result<(), TableError> {
    if snapshot.follow_log().await? == Followed::Outdated {
        *snapshot = handle.load::<R>(options).await?.ok_or_else(|| {
            TableError::unavailable(
                &handle.at,
                "read the log of",
                "the table was deleted while it was written to",
            )
        })?;
    }
    Ok(())
}

/// Full jitter over a doubling limit: writers that met once should not meet again.
fn wait(options: &TableOptions, round: u32) -> Duration {
    options
        .backoff
        .mul_f64(f64::from(1_u32 << round.saturating_sub(1).min(5)) * fastrand::f64())
}
