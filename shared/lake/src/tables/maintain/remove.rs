//! Taking rows out by id: the files that hold them are rewritten without them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use deltalake::kernel::Add;
use deltalake::protocol::DeltaOperation;
use jiff::civil::Date;

use crate::tables::commit::attempt::{Attempt, Contents};
use crate::tables::commit::transaction;
use crate::tables::commit::transaction::{Change, Plan};
use crate::tables::error::TableError;
use crate::tables::maintain::rewrite;
use crate::tables::maintain::rewrite::Rewritten;
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;
use crate::tables::table::Table;

/// What became of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows that are no longer in the table.
    pub rows: usize,
    /// The version of the commit; `None` if there was nothing to remove.
    pub version: Option<i64>,
}

/// A removal, and what it has learnt in its rounds.
struct Removal<'a, R> {
    table: &'a Table<R>,
    ids: BTreeMap<Date, HashSet<Arc<str>>>,
    /// Files that hold none of the ids. They never change, so no round looks twice.
    clean: HashSet<String>,
    staged: BTreeMap<Date, Rewritten>,
}

impl<R: TableRow> Table<R> {
    /// Removes the rows of these ids, each of its date, whatever their `replay_count`: all in one commit. Positions stay
    /// as they are. A table that is not there yet has no rows. May be repeated after any outcome, a crash included.
    ///
    /// It looks through the bloom filters of those dates' files, as an append does; only a file that holds such a row is
    /// read and rewritten.
    ///
    /// # Errors
    /// [`TableError`]. The rows may be gone all the same if the storage could not be asked; repeating tells.
    pub async fn remove(&self, ids: BTreeMap<Date, HashSet<Arc<str>>>) -> Result<Removed, TableError> {
        if ids.values().all(HashSet::is_empty) {
            return Ok(Removed::default());
        }
        let mut removal = Removal {
            table: self,
            ids,
            clean: HashSet::new(),
            staged: BTreeMap::new(),
        };
        let mut handle = self.handle.lock().await;
        transaction::carry_out::<R, _>(&mut removal, &mut handle, &self.options).await
    }
}

impl<R: TableRow> Change for Removal<'_, R> {
    type Outcome = Removed;

    const NEEDS_LATEST: bool = true;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Removed>, TableError> {
        for (date, ids) in &self.ids {
            let lookup = Lookup::<R>::new(snapshot, &self.table.filters);
            let holders = lookup.holders(*date, &Wanted::ids(ids), &mut self.clean).await?;
            let staged = self.staged.entry(*date).or_default();
            if !staged.replaces(&holders) {
                staged.discard(&snapshot.table).await;
                let target = self.table.options.target_file_bytes;
                *staged = rewrite::rewrite::<R>(snapshot, holders, ids, target).await?;
            }
        }
        let staged = || self.staged.values();
        let rows = staged().map(|staged| staged.dropped).sum();
        if rows == 0 {
            return Ok(Plan::Done(Removed::default()));
        }
        let contents = Contents {
            actions: staged().flat_map(|staged| staged.actions(true)).collect(),
            advancing: BTreeMap::new(),
            operation: DeltaOperation::Delete {
                predicate: Some(format!(
                    "{} is one of {rows} that are recorded elsewhere",
                    R::KEY_COLUMN
                )),
            },
        };
        let version = Attempt::after(snapshot).table_version();
        Ok(Plan::Commit(Box::new(contents), Removed { rows, version }))
    }

    fn staged(&self) -> Vec<Add> {
        self.staged.values().flat_map(Rewritten::staged).collect()
    }

    fn without_table(&self) -> Option<Removed> {
        Some(Removed::default())
    }
}
