//! Keyed, idempotent append: adds the rows whose key is absent, and records the offsets in the same Delta commit.
//!
//! Each round (see `commit`) decides which rows the table lacks, writes them to data files, and attempts a commit at
//! exactly the next version. Two owners of a partition that append the same key at the same time therefore cannot both
//! add it. A batch without a row to add makes no commit; the next batch that has one records its positions as well.

mod candidates;
mod missing_columns;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deltalake::kernel::{Action, Add};
use jiff::civil::Date;

use crate::tables::append::candidates::{Candidates, Selection};
use crate::tables::commit::change::{Change, Contents, Plan, PlansOn};
use crate::tables::commit::transaction::Transaction;
use crate::tables::data_files;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::read::filters::FilterCache;
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::rows::row::{Key, Sourced, TableRow};
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

impl Appended {
    fn of(selection: &Selection, version: Option<i64>) -> Self {
        Self {
            added: selection.chosen.len(),
            skipped_by_offset: selection.skipped_by_offset,
            skipped_by_key: selection.skipped_by_key,
            version,
        }
    }
}

/// Data files written for a set of rows, not yet named by a commit.
#[derive(Default)]
struct Staged {
    /// Indices into the batch.
    rows: Vec<usize>,
    files: Vec<Add>,
}

/// An append, and what its rounds have found out.
struct Append<'a, R> {
    candidates: Candidates<'a, R>,
    app_ids: Vec<AppId>,
    positions: BTreeMap<AppId, i64>,
    /// [`crate::tables::handle::Handle::written`] before this append.
    written: HashMap<AppId, i64>,
    filters: &'a FilterCache,
    /// Keys found in the table. A key that was removed since still counts, because it was removed on purpose.
    present: HashMap<Date, HashSet<Key>>,
    /// Data files that were searched. A data file never changes, so no round searches it again.
    searched: HashSet<String>,
    staged: Staged,
}

impl<R: TableRow> Table<R> {
    /// Appends the rows whose key has no row of their date yet, and in the same commit moves the positions forward.
    ///
    /// `positions` are next offsets by app id; one that is not ahead of the table's is ignored. Without a row to add
    /// nothing is committed and no position moves: positions only serve to skip records whose rows are in the table, and
    /// a record without a row has none to add twice. The table is created if it does not exist and there are rows. The
    /// call may be repeated with the same arguments after any outcome, a crash included.
    ///
    /// # Errors
    /// [`TableError`]. The rows may have been added all the same if the log could not be read; repeating finds out.
    pub async fn append(&self, rows: Vec<Sourced<R>>, positions: BTreeMap<AppId, i64>) -> Result<Appended, TableError> {
        if rows.is_empty() {
            return Ok(Appended::default());
        }
        self.located(async {
            let mut handle = self.handle.lock().await;
            let sources = rows.iter().filter_map(|sourced| sourced.source.as_ref());
            let app_ids = sources.map(|source| &source.app_id).chain(positions.keys());
            let app_ids: BTreeSet<&AppId> = app_ids.collect();
            let mut append = Append {
                app_ids: app_ids.into_iter().cloned().collect(),
                candidates: Candidates::new(&rows),
                written: handle.written.clone(),
                positions,
                filters: &self.filters,
                present: HashMap::new(),
                searched: HashSet::new(),
                staged: Staged::default(),
            };
            let appended = Transaction::new(&mut handle, &mut append).run().await?;
            if appended.version.is_some() {
                for (app_id, next) in append.positions {
                    let written = handle.written.entry(app_id).or_insert(next);
                    *written = next.max(*written);
                }
            }
            Ok(appended)
        })
        .await
    }
}

impl<R: TableRow> Change for Append<'_, R> {
    type Outcome = Appended;

    const PLANS_ON: PlansOn = PlansOn::LastKnown;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Appended>, TableErrorKind> {
        if let Some(columns) = missing_columns::addition::<R>(&snapshot.table)? {
            return Ok(Plan::CommitFirst(Box::new(columns)));
        }
        let known = snapshot.positions(&self.app_ids).await?;
        self.check_not_restored(&known)?;
        let lookup = Lookup::<R>::new(snapshot, self.filters);
        for (date, keys) in self.candidates.wanted(&known) {
            let found = lookup.find(date, &Wanted::new(&keys), &mut self.searched).await?;
            self.present.entry(date).or_default().extend(found);
        }
        let selection = self.candidates.select(&known, &self.present);
        self.stage(snapshot, &selection).await?;
        if selection.chosen.is_empty() {
            return Ok(Plan::Done(Appended::of(&selection, None)));
        }
        let is_ahead = |app_id: &AppId, next: &i64| known.get(app_id).is_none_or(|at| at < next);
        let ahead = self.positions.iter().filter(|(app_id, next)| is_ahead(app_id, next));
        let contents = Contents::append(
            self.staged.files.iter().cloned().map(Action::Add).collect(),
            ahead.map(|(app_id, next)| (app_id.clone(), *next)).collect(),
        );
        let appended = Appended::of(&selection, snapshot.next_version());
        Ok(Plan::Commit(Box::new(contents), appended))
    }

    fn staged_files(&self) -> Vec<Add> {
        self.staged.files.clone()
    }

    fn outcome_without_table(&self) -> Option<Appended> {
        None
    }
}

impl<R: TableRow> Append<'_, R> {
    /// Refuses to append behind a restore. A source whose position went back has to be read again from there: going on
    /// would move the position over the records in between, whose rows are gone.
    fn check_not_restored(&self, known: &BTreeMap<AppId, i64>) -> Result<(), TableErrorKind> {
        for (app_id, position) in known {
            if let Some(written) = self.written.get(app_id).filter(|written| position < *written) {
                return Err(TableErrorKind::Restored {
                    app_id: app_id.clone(),
                    position: *position,
                    written: *written,
                });
            }
        }
        Ok(())
    }

    /// Writes data files for exactly the chosen rows, unless an earlier round has written them.
    async fn stage(&mut self, snapshot: &Snapshot, selection: &Selection) -> Result<(), TableErrorKind> {
        if self.staged.rows == selection.chosen {
            return Ok(());
        }
        // A plan is only made while no attempt is unresolved, so no commit can still name the old files.
        let staged = std::mem::take(&mut self.staged);
        data_files::delete(&snapshot.table, &staged.files).await;
        if !selection.chosen.is_empty() {
            let rows = self.candidates.rows_of(&selection.chosen);
            self.staged = Staged {
                rows: selection.chosen.clone(),
                files: data_files::write(&snapshot.table, &rows, self.filters).await?,
            };
        }
        Ok(())
    }
}
