//! The main verb: append the rows whose key is not there yet, together with these offsets, or say why not.
//!
//! Each round decides which rows the table lacks as it is known, writes them to files and tries to commit at exactly the
//! next version (see `change`). So two owners that append one key at one moment cannot make two rows of it. A batch
//! without rows to add makes no commit; the next one with rows moves its positions along.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deltalake::kernel::{Action, Add};
use jiff::civil::Date;

mod candidates;
mod missing_columns;

use crate::tables::append::candidates::{Candidates, Selection};
use crate::tables::commit::attempt;
use crate::tables::commit::attempt::{Attempt, Contents};
use crate::tables::commit::transaction;
use crate::tables::commit::transaction::{Change, Plan};
use crate::tables::data_files;
use crate::tables::error::TableError;
use crate::tables::read::filters::FilterCache;
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::rows::row::{Key, TableRow};
use crate::tables::rows::source::Sourced;
use crate::tables::snapshot::Snapshot;
use crate::tables::table::Table;
use xact_contracts::ids::AppId;

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
#[derive(Default)]
struct Staged {
    rows: Vec<usize>,
    files: Vec<Add>,
}

/// An append, and what it has learnt in its rounds.
struct Append<'a, R> {
    candidates: Candidates<'a, R>,
    app_ids: Vec<AppId>,
    positions: BTreeMap<AppId, i64>,
    /// How far this process knew its sources to be written.
    written: HashMap<AppId, i64>,
    filters: &'a FilterCache,
    /// Keys seen in the table. One that was removed since counts as there: it was removed on purpose.
    present: HashMap<Date, HashSet<Key>>,
    /// Files looked into. They never change, so no round looks twice.
    checked: HashSet<String>,
    staged: Staged,
}

impl<R: TableRow> Table<R> {
    /// Appends the rows whose key has no row of their date yet, and in the same commit moves the positions forward.
    ///
    /// `positions` are next offsets by app id; one that is not ahead of the table's is left alone. Without a row to add
    /// nothing is committed and no position moves: positions only rule out records whose rows are in the table, and a
    /// record without a row has none to add twice. The table is created if it is not there and there are rows. May be
    /// repeated with the same arguments after any outcome, a crash included.
    ///
    /// # Errors
    /// [`TableError`]. The rows may be in the table all the same if the storage could not be asked; repeating tells.
    pub async fn append(&self, rows: Vec<Sourced<R>>, positions: BTreeMap<AppId, i64>) -> Result<Appended, TableError> {
        if rows.is_empty() {
            return Ok(Appended::default());
        }
        let mut handle = self.handle.lock().await;
        let sources = rows
            .iter()
            .filter_map(|sourced| sourced.source.as_ref())
            .map(|source| &source.app_id);
        let app_ids: BTreeSet<&AppId> = sources.chain(positions.keys()).collect();
        let mut append = Append {
            candidates: Candidates::new(&rows),
            app_ids: app_ids.into_iter().cloned().collect(),
            written: handle.written.clone(),
            positions,
            filters: &self.filters,
            present: HashMap::new(),
            checked: HashSet::new(),
            staged: Staged::default(),
        };
        let appended = transaction::carry_out::<R, _>(&mut append, &mut handle, &self.options).await?;
        if appended.version.is_some() {
            for (app_id, next) in append.positions {
                let written = handle.written.entry(app_id).or_insert(next);
                *written = next.max(*written);
            }
        }
        Ok(appended)
    }
}

impl<R: TableRow> Change for Append<'_, R> {
    type Outcome = Appended;

    const NEEDS_LATEST: bool = false;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Appended>, TableError> {
        if let Some(columns) = missing_columns::addition::<R>(&snapshot.table, &snapshot.at)? {
            return Ok(Plan::Prepare(Box::new(columns)));
        }
        let known = snapshot.positions(&self.app_ids).await?;
        self.check_not_restored(&known, &snapshot.at)?;
        let lookup = Lookup::<R>::new(snapshot, self.filters);
        for (date, keys) in self.candidates.wanted(&known) {
            let found = lookup.find(date, &Wanted::new(&keys), &mut self.checked).await?;
            self.present.entry(date).or_default().extend(found);
        }
        let selection = self.candidates.select(&known, &self.present);
        self.stage(snapshot, &selection).await?;
        if selection.chosen.is_empty() {
            return Ok(Plan::Done(appended(&selection, None)));
        }
        let is_ahead = |app_id: &AppId, next: &i64| known.get(app_id).is_none_or(|at| at < next);
        let advancing = self.positions.iter().filter(|(app_id, next)| is_ahead(app_id, next));
        let contents = Contents {
            actions: self.staged.files.iter().cloned().map(Action::Add).collect(),
            advancing: advancing.map(|(app_id, next)| (app_id.clone(), *next)).collect(),
            operation: attempt::append_operation(),
        };
        let version = Attempt::after(snapshot).table_version();
        Ok(Plan::Commit(Box::new(contents), appended(&selection, version)))
    }

    fn staged(&self) -> Vec<Add> {
        self.staged.files.clone()
    }

    fn without_table(&self) -> Option<Appended> {
        None
    }
}

impl<R: TableRow> Append<'_, R> {
    /// A source whose position went back has to be read again from there. Going on from here would move the position over
    /// the records between.
    fn check_not_restored(&self, known: &BTreeMap<AppId, i64>, at: &str) -> Result<(), TableError> {
        for (app_id, position) in known {
            if let Some(written) = self.written.get(app_id).filter(|written| position < *written) {
                return Err(TableError::Restored {
                    table: at.to_owned(),
                    app_id: app_id.clone(),
                    position: *position,
                    written: *written,
                });
            }
        }
        Ok(())
    }

    /// Writes files for exactly the chosen rows, unless that is done already.
    async fn stage(&mut self, snapshot: &Snapshot, selection: &Selection) -> Result<(), TableError> {
        if self.staged.rows == selection.chosen {
            return Ok(());
        }
        // No attempt is open while a plan is made, so no commit can name these.
        let staged = std::mem::take(&mut self.staged);
        data_files::discard(&snapshot.table, &staged.files).await;
        if !selection.chosen.is_empty() {
            let rows = self.candidates.rows_of(&selection.chosen);
            self.staged = Staged {
                rows: selection.chosen.clone(),
                files: data_files::write(&snapshot.table, &snapshot.at, &rows, self.filters).await?,
            };
        }
        Ok(())
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
