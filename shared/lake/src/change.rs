//! A change of the table: planned on its latest version, committed at exactly the next one, and planned anew if another
//! commit came first.
//!
//! Whatever a plan relied on (a key that is not there, a file that is) therefore still holds when its commit lands, and
//! two changes that contradict each other cannot both land as planned. A commit whose answer was an error is settled by
//! asking the log.

use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use tracing::debug;

use crate::commit::{Attempt, Contents, Fate};
use crate::handle::Handle;
use crate::{TableError, TableOptions, TableRow, checkpoint, data_files};

/// Something to be done to a table, decided anew for each version that it meets.
pub(crate) trait Change: Send {
    /// What is reported when it is done.
    type Outcome: Clone + Send;

    /// What to do to this version of the table.
    fn plan(
        &mut self,
        handle: &mut Handle,
        table: &DeltaTable,
    ) -> impl Future<Output = Result<Plan<Self::Outcome>, TableError>> + Send;

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
}

/// A commit that was sent, and is not known to be in the log or out of it.
struct Sent<T> {
    attempt: Attempt,
    contents: Box<Contents>,
    outcome: T,
}

/// What is carried from round to round.
struct Rounds<T> {
    open: Option<Sent<T>>,
    overtaken: u32,
    refused: u32,
}

/// Carries a change out. After an error it may have landed all the same if the storage could not be asked; doing it
/// again tells.
pub(crate) async fn carry_out<R: TableRow, C: Change>(
    change: &mut C,
    handle: &mut Handle,
    options: &TableOptions,
) -> Result<C::Outcome, TableError> {
    let mut rounds = Rounds {
        open: None,
        overtaken: 0,
        refused: 0,
    };
    loop {
        match round::<R, C>(change, handle, options, &mut rounds).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => tokio::time::sleep(wait(options, rounds.overtaken + rounds.refused)).await,
            Err(error) => {
                handle.forget();
                // Files of an open attempt may be named by the log any moment: those are never deleted.
                if let (None, Ok(table)) = (rounds.open, handle.unloaded(options)) {
                    data_files::discard(&table, &change.staged()).await;
                }
                return Err(error);
            }
        }
    }
}

/// `Ok(None)`: it is to be done again.
async fn round<R: TableRow, C: Change>(
    change: &mut C,
    handle: &mut Handle,
    options: &TableOptions,
    rounds: &mut Rounds<C::Outcome>,
) -> Result<Option<C::Outcome>, TableError> {
    let table = match change.without_table() {
        None => handle.refresh_or_create::<R>(options).await?,
        Some(outcome) => match handle.refresh::<R>(options).await? {
            Some(table) => table,
            None => return Ok(Some(outcome)),
        },
    };
    if let Some(landed) = settle_open(handle, &table, rounds).await? {
        return Ok(Some(landed));
    }
    // An open attempt is sent again as it was: whichever copy arrives first, the log has one of them.
    let sent = match rounds.open.take() {
        Some(sent) => sent,
        None => match change.plan(handle, &table).await? {
            Plan::Done(outcome) => return Ok(Some(outcome)),
            Plan::Commit(contents, outcome) => Sent {
                attempt: Attempt::after(&table),
                contents,
                outcome,
            },
        },
    };
    let sent = rounds.open.insert(sent);
    match sent.attempt.send(&table, &handle.at, &sent.contents).await {
        Ok(table) => {
            let outcome = sent.outcome.clone();
            handle
                .positions
                .committed(sent.attempt.version, &sent.contents.advancing);
            rounds.open = None;
            checkpoint::make_if_due(handle, &table, options).await;
            handle.committed(table, options);
            Ok(Some(outcome))
        }
        Err(error) => after_error(handle, options, &table, error, rounds).await,
    }
}

/// If an attempt is open and its version is taken by now: by it, or by another commit?
async fn settle_open<T: Clone>(
    handle: &Handle,
    table: &DeltaTable,
    rounds: &mut Rounds<T>,
) -> Result<Option<T>, TableError> {
    let Some(sent) = &rounds.open else {
        return Ok(None);
    };
    match table.version() {
        Some(version) if version >= sent.attempt.version => {}
        // Nobody has committed since: it is sent again.
        Some(version) if version + 1 == sent.attempt.version => return Ok(None),
        _ => {
            let reason = "it was replaced by another table meanwhile";
            return Err(TableError::unavailable(&handle.at, "commit to", reason));
        }
    }
    match sent.attempt.fate(table, &handle.at).await? {
        Fate::Landed => Ok(rounds.open.take().map(|sent| sent.outcome)),
        Fate::Overtaken => {
            rounds.open = None;
            Ok(None)
        }
        // The table is past that version and its entry is gone: cleaned up within the time of one change. Do not guess.
        Fate::Open => Err(TableError::unavailable(
            &handle.at,
            "read the last commit of",
            "its log entry is gone",
        )),
    }
}

/// A commit whose answer was an error may have landed. The log knows.
async fn after_error<T: Clone>(
    handle: &mut Handle,
    options: &TableOptions,
    table: &DeltaTable,
    error: TableError,
    rounds: &mut Rounds<T>,
) -> Result<Option<T>, TableError> {
    let Some(sent) = &rounds.open else {
        return Err(error);
    };
    match sent.attempt.fate(table, &handle.at).await? {
        Fate::Landed => {
            handle.forget();
            Ok(rounds.open.take().map(|sent| sent.outcome))
        }
        Fate::Overtaken => {
            rounds.open = None;
            rounds.overtaken += 1;
            if rounds.overtaken < options.conflict_attempts {
                return Ok(None);
            }
            let reason = format!("other writers were faster {} times in a row", rounds.overtaken);
            Err(TableError::unavailable(&handle.at, "commit to", reason))
        }
        Fate::Open => {
            rounds.refused += 1;
            debug!(table = handle.at, %error, tries = rounds.refused, "the storage refused a commit");
            if error.is_transient() && rounds.refused < options.storage_attempts {
                Ok(None)
            } else {
                Err(error)
            }
        }
    }
}

/// Full jitter over a doubling limit: writers that met once should not meet again.
fn wait(options: &TableOptions, round: u32) -> Duration {
    options
        .backoff
        .mul_f64(f64::from(1_u32 << round.saturating_sub(1).min(5)) * fastrand::f64())
}
