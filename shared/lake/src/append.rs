//! The only write verb: append the rows whose key is not there yet, together with these offsets, or say why not.
//!
//! Each round looks at the latest version of the table, decides which rows it lacks, writes them to files and tries to
//! commit at exactly the next version. Any commit by anyone in between fails that, and the next round decides anew. So
//! two owners that append one key at one moment cannot make two rows of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use jiff::civil::Date;
use tracing::debug;

use crate::candidates::{Candidates, Selection};
use crate::commit::{Attempt, Contents, Fate};
use crate::handle::Handle;
use crate::key_lookup::{Lookup, Wanted};
use crate::{Key, Table, TableError, TableOptions, TableRow, checkpoint, data_files};

/// A row and where it came from. Without a source (HTTP invoke) the key alone tells whether it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<R> {
    /// The row.
    pub row: R,
    /// The message that it came from.
    pub source: Option<Source>,
}

/// A message's place in its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `{group}:{topic}:{partition}`.
    pub app_id: String,
    /// The message's offset.
    pub offset: i64,
}

/// What became of an append's rows; the three counts add up to the rows given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Rows that this append added.
    pub added: usize,
    /// Rows whose offset an earlier commit covers.
    pub skipped_by_offset: usize,
    /// Rows whose key was in the table, or earlier in the same batch.
    pub skipped_by_key: usize,
    /// The version of the commit; `None` if there was nothing to commit.
    pub version: Option<i64>,
}

/// Files written for a set of rows, not yet named by a commit.
struct Staged {
    rows: Vec<usize>,
    files: Vec<Add>,
}

/// What an append carries from round to round.
#[derive(Default)]
struct Progress {
    present: HashMap<Date, HashSet<Key>>,
    /// Files looked into. They never change, so no round looks twice.
    checked: HashSet<String>,
    staged: Option<Staged>,
    /// Sent, and not known to be in the log or out of it.
    open: Option<(Attempt, Appended, BTreeMap<String, i64>)>,
    overtaken: u32,
    refused: u32,
}

impl<R: TableRow> Table<R> {
    /// Appends the rows whose key has no row of their date yet, and in the same commit moves the positions forward.
    ///
    /// `positions` are next offsets by app id; one that is not ahead of the table's is left alone, and a batch without
    /// rows may still move them. The table is created if it is not there. May be repeated with the same arguments after
    /// any outcome, a crash included.
    ///
    /// # Errors
    /// [`TableError`]. The rows may be in the table all the same if the storage could not be asked; repeating tells.
    pub async fn append(
        &self,
        rows: Vec<Sourced<R>>,
        positions: BTreeMap<String, i64>,
    ) -> Result<Appended, TableError> {
        let mut handle = self.handle.lock().await;
        if rows.is_empty() && positions.is_empty() {
            return Ok(Appended::default());
        }
        let candidates = Candidates::new(&rows);
        let sources = rows
            .iter()
            .filter_map(|sourced| sourced.source.as_ref())
            .map(|source| &source.app_id);
        let app_ids: BTreeSet<&String> = sources.chain(positions.keys()).collect();
        let app_ids: Vec<String> = app_ids.into_iter().cloned().collect();

        let mut progress = Progress::default();
        loop {
            match self
                .round(&mut handle, &candidates, &app_ids, &positions, &mut progress)
                .await
            {
                Ok(Some(appended)) => return Ok(appended),
                Ok(None) => {
                    let rounds = progress.overtaken + progress.refused;
                    tokio::time::sleep(wait(&self.options, rounds)).await;
                }
                Err(error) => {
                    handle.forget();
                    // Files of an open attempt may be named by the log any moment: those are never deleted.
                    if let (None, Some(staged), Ok(table)) =
                        (progress.open, progress.staged, handle.unloaded(&self.options))
                    {
                        data_files::discard(&table, &staged.files).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// `Ok(None)`: it is to be done again.
    async fn round(
        &self,
        handle: &mut Handle,
        candidates: &Candidates<'_, R>,
        app_ids: &[String],
        positions: &BTreeMap<String, i64>,
        progress: &mut Progress,
    ) -> Result<Option<Appended>, TableError> {
        let table = handle.refresh_or_create::<R>(&self.options).await?;
        let at = handle.at.clone();
        if let Some(landed) = settle_open(handle, &table, progress).await? {
            return Ok(Some(landed));
        }

        let known = handle.positions.of(&table, &at, app_ids).await?;
        let advancing: BTreeMap<String, i64> = positions
            .iter()
            .filter(|(app_id, next)| known.get(*app_id).is_none_or(|at| at < next))
            .map(|(a, n)| (a.clone(), *n))
            .collect();
        let lookup = Lookup::<R>::new(&table, &self.filters, &at);
        for (date, keys) in candidates.wanted(&known) {
            let found = lookup.find(date, &Wanted::new(&keys), &mut progress.checked).await?;
            progress.present.entry(date).or_default().extend(found);
        }
        let selection = candidates.select(&known, &progress.present);
        self.stage(&table, &at, candidates, &selection, progress).await?;
        if selection.chosen.is_empty() && advancing.is_empty() {
            return Ok(Some(appended(&selection, None)));
        }
        let files = progress.staged.as_ref().map_or(&[][..], |staged| &staged.files);
        let contents = Contents {
            files,
            advancing: &advancing,
        };

        // An open attempt is sent again as it was: whichever copy arrives first, the log has one of them.
        let attempt = progress
            .open
            .take()
            .map_or_else(|| Attempt::after(&table), |(attempt, ..)| attempt);
        let outcome = appended(&selection, i64::try_from(attempt.version).ok());
        let version = attempt.version;
        let sent = attempt.send(&table, &at, &contents).await;
        progress.open = Some((attempt, outcome.clone(), advancing));
        match sent {
            Ok(table) => {
                if let Some((_, _, advancing)) = progress.open.take() {
                    handle.positions.committed(version, &advancing);
                }
                checkpoint::make_if_due(handle, &table, &self.options).await;
                handle.committed(table, &self.options);
                Ok(Some(outcome))
            }
            Err(error) => self.after_error(handle, &table, error, progress).await,
        }
    }

    /// A commit whose answer was an error may have landed. The log knows.
    async fn after_error(
        &self,
        handle: &mut Handle,
        table: &DeltaTable,
        error: TableError,
        progress: &mut Progress,
    ) -> Result<Option<Appended>, TableError> {
        let Some((attempt, outcome, _)) = &progress.open else {
            return Err(error);
        };
        match attempt.fate(table, &handle.at).await? {
            Fate::Landed => {
                let outcome = outcome.clone();
                progress.open = None;
                handle.forget();
                Ok(Some(outcome))
            }
            Fate::Overtaken => {
                progress.open = None;
                progress.overtaken += 1;
                if progress.overtaken < self.options.conflict_attempts {
                    return Ok(None);
                }
                let reason = format!("other writers were faster {} times in a row", progress.overtaken);
                Err(TableError::unavailable(&handle.at, "commit to", reason))
            }
            Fate::Open => {
                progress.refused += 1;
                debug!(table = handle.at, %error, tries = progress.refused, "the storage refused a commit");
                if error.is_transient() && progress.refused < self.options.storage_attempts {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Sees to it that files exist for exactly the chosen rows.
    async fn stage(
        &self,
        table: &DeltaTable,
        at: &str,
        candidates: &Candidates<'_, R>,
        selection: &Selection,
        progress: &mut Progress,
    ) -> Result<(), TableError> {
        if let Some(staged) = progress.staged.take() {
            if staged.rows == selection.chosen {
                progress.staged = Some(staged);
                return Ok(());
            }
            // No attempt is open here unless the table is unchanged, and then the rows are too.
            data_files::discard(table, &staged.files).await;
        }
        if !selection.chosen.is_empty() {
            let files = data_files::write(table, at, &candidates.rows_of(&selection.chosen)).await?;
            progress.staged = Some(Staged {
                rows: selection.chosen.clone(),
                files,
            });
        }
        Ok(())
    }
}

/// If an attempt is open and its version is taken by now: by it, or by another commit?
async fn settle_open(
    handle: &mut Handle,
    table: &DeltaTable,
    progress: &mut Progress,
) -> Result<Option<Appended>, TableError> {
    let Some((attempt, outcome, _)) = &progress.open else {
        return Ok(None);
    };
    match table.version() {
        Some(version) if version >= attempt.version => {}
        // Nobody has committed since: it is sent again.
        Some(version) if version + 1 == attempt.version => return Ok(None),
        _ => {
            let reason = "it was replaced by another table meanwhile";
            return Err(TableError::unavailable(&handle.at, "commit to", reason));
        }
    }
    match attempt.fate(table, &handle.at).await? {
        Fate::Landed => {
            let outcome = outcome.clone();
            progress.open = None;
            Ok(Some(outcome))
        }
        Fate::Overtaken => {
            progress.open = None;
            Ok(None)
        }
        // The table is past that version and its entry is gone: cleaned up within the time of one append. Do not guess.
        Fate::Open => Err(TableError::unavailable(
            &handle.at,
            "read the last commit of",
            "its log entry is gone",
        )),
    }
}

fn appended(selection: &Selection, version: Option<i64>) -> Appended {
    Appended {
        added: selection.chosen.len(),
        skipped_by_offset: selection.skipped_by_offset,
        skipped_by_key: selection.skipped_by_key,
        version,
    }
}

/// Full jitter over a doubling limit: writers that met once should not meet again.
fn wait(options: &TableOptions, round: u32) -> Duration {
    options
        .backoff
        .mul_f64(f64::from(1_u32 << round.saturating_sub(1).min(5)) * fastrand::f64())
}
