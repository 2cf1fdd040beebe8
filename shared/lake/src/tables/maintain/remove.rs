//! Removes rows by id: the data files that have them are rewritten without them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use deltalake::kernel::Add;
use deltalake::protocol::DeltaOperation;
use jiff::civil::Date;

use crate::tables::commit::change::{Change, Contents, Plan, PlansOn};
use crate::tables::commit::transaction::Transaction;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::maintain::rewrite::{self, DataChange, Rewritten};
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;
use crate::tables::table::Table;

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows that were removed.
    pub rows: usize,
    /// The version of the commit; `None` if there was nothing to remove.
    pub version: Option<i64>,
}

/// A removal, and what its rounds have found out.
struct Removal<'a, R> {
    table: &'a Table<R>,
    ids: BTreeMap<Date, HashSet<Arc<str>>>,
    /// Files that have none of the ids. A data file never changes, so no round searches it again.
    without_ids: HashSet<String>,
    staged: BTreeMap<Date, Rewritten>,
}

impl<R: TableRow> Table<R> {
    /// Removes the rows of these ids, each of its date, with any `replay_count`: all in one commit. Positions do
    /// not change. A table that does not exist has no rows. The call may be repeated after any outcome, a crash
    /// included.
    ///
    /// The bloom filters of the dates' files are searched, as for an append; only a file that has such a row is read and
    /// rewritten.
    ///
    /// # Errors
    /// [`TableError`]. The rows may have been removed all the same if the log could not be read; repeating finds out.
    pub async fn remove(&self, ids: BTreeMap<Date, HashSet<Arc<str>>>) -> Result<Removed, TableError> {
        if ids.values().all(HashSet::is_empty) {
            return Ok(Removed::default());
        }
        self.located(async {
            let mut removal = Removal {
                table: self,
                ids,
                without_ids: HashSet::new(),
                staged: BTreeMap::new(),
            };
            let mut handle = self.handle.lock().await;
            Transaction::new(&mut handle, &mut removal).run().await
        })
        .await
    }
}

impl<R: TableRow> Change for Removal<'_, R> {
    type Outcome = Removed;

    const PLANS_ON: PlansOn = PlansOn::Latest;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Removed>, TableErrorKind> {
        for (date, ids) in &self.ids {
            let lookup = Lookup::<R>::new(snapshot, &self.table.filters);
            let wanted = Wanted::ids(ids);
            let files = lookup.files_with(*date, &wanted, &mut self.without_ids).await?;
            let staged = self.staged.entry(*date).or_default();
            if !staged.replaces(&files) {
                staged.discard(&snapshot.table).await;
                let target = self.table.options.target_file_bytes;
                *staged = rewrite::rewrite::<R>(snapshot, files, ids, target).await?;
            }
        }
        let staged = || self.staged.values();
        let rows = staged().map(|staged| staged.dropped).sum();
        if rows == 0 {
            return Ok(Plan::Done(Removed::default()));
        }
        let actions = staged().flat_map(|staged| staged.actions(DataChange::Yes)).collect();
        let predicate = Some(format!(
            "{} is one of {rows} that are recorded elsewhere",
            R::KEY_COLUMN
        ));
        let operation = DeltaOperation::Delete { predicate };
        let contents = Contents::without_positions(actions, operation);
        let version = snapshot.next_version();
        Ok(Plan::Commit(Box::new(contents), Removed { rows, version }))
    }

    fn staged_files(&self) -> Vec<Add> {
        self.staged.values().flat_map(Rewritten::staged_files).collect()
    }

    fn outcome_without_table(&self) -> Option<Removed> {
        Some(Removed::default())
    }
}
