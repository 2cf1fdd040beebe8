//! One Delta table, as the handlers see it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use deltalake::kernel::Add;
use jiff::ToSpan;
use jiff::civil::Date;
use tokio::sync::Mutex;

use crate::location::Location;
use crate::tables::commit::attempt;
use crate::tables::commit::attempt::Contents;
use crate::tables::commit::transaction;
use crate::tables::commit::transaction::{Change, Plan};
use crate::tables::error::TableError;
use crate::tables::handle::Handle;
use crate::tables::options::TableOptions;
use crate::tables::read::filters::FilterCache;
use crate::tables::read::lookup;
use crate::tables::read::lookup::Wanted;
use crate::tables::rows::row::{Key, TableRow};
use crate::tables::snapshot::Snapshot;
use xact_contracts::ids::AppId;
use xact_contracts::onelake_billing::Bill;

/// A Delta table of rows `R`, partitioned by `event_date`, in which a key has at most one row per date.
///
/// Cheap to make: nothing is opened before the first call. Meant to be kept, behind an `Arc`: it holds one open handle
/// and the bloom filters of the files that it has looked into. Appends through one `Table` wait for each other; appends
/// of other handles and processes are safe as well, and cost a repetition when they meet.
pub struct Table<R> {
    pub(crate) location: Location,
    pub(crate) options: TableOptions,
    pub(crate) handle: Mutex<Handle>,
    pub(crate) filters: FilterCache,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Table<R> {
    /// A table at a location, which need not exist yet. No I/O.
    #[must_use]
    pub fn new(location: Location, options: TableOptions) -> Self {
        Self {
            handle: Mutex::new(Handle::new(location.clone())),
            filters: FilterCache::new(options.filter_cache_bytes),
            location,
            options,
            row: PhantomData,
        }
    }

    /// Where the table is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What this table's requests have cost so far; `None` if it is not in OneLake.
    #[must_use]
    pub fn bill(&self) -> Option<Bill> {
        self.options.connection.bill()
    }

    /// The next offset of each of the app ids that has one: as the latest commit left it, or, after somebody has restored an
    /// earlier version, as it was then. A table that is not there yet has none. Whoever asks is told: an append after it
    /// takes these positions for known.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn positions(&self, app_ids: &[AppId]) -> Result<BTreeMap<AppId, i64>, TableError> {
        let mut handle = self.handle.lock().await;
        let Some(mut snapshot) = handle.latest::<R>(&self.options).await? else {
            return Ok(BTreeMap::new());
        };
        let positions = snapshot.positions(app_ids).await?;
        handle.keep(snapshot);
        for app_id in app_ids {
            match positions.get(app_id) {
                Some(position) => handle.written.insert(app_id.clone(), *position),
                None => handle.written.remove(app_id),
            };
        }
        Ok(positions)
    }

    /// Sets positions as given, back as well as forward, in a commit of its own: for when they and the topic disagree and
    /// somebody has decided. Rows stay single: the keys tell. Nothing is committed if they are so already.
    ///
    /// # Errors
    /// [`TableError`]. They may be set all the same if the storage could not be asked; repeating tells.
    pub async fn set_positions(&self, positions: &BTreeMap<AppId, i64>) -> Result<(), TableError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut handle = self.handle.lock().await;
        let mut change = SetPositions(positions);
        transaction::carry_out::<R, _>(&mut change, &mut handle, &self.options).await?;
        handle.written.extend(positions.clone());
        Ok(())
    }

    /// Which of the keys have a row of that date. A table that is not there yet has none.
    ///
    /// # Errors
    /// [`TableError`], if the log or a file cannot be read.
    pub async fn existing_keys(&self, date: Date, keys: &[Key]) -> Result<HashSet<Key>, TableError> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest::<R>(&self.options).await? else {
            return Ok(HashSet::new());
        };
        let lookup = lookup::Lookup::<R>::new(&snapshot, &self.filters);
        let found = lookup.find(date, &Wanted::new(keys), &mut HashSet::new()).await?;
        handle.keep(snapshot);
        Ok(found)
    }

    /// The earliest date from `first` to `last` on which each of the ids has a row, whatever its `replay_count`. Ids without
    /// one are left out. Only dates that have files cost anything.
    ///
    /// # Errors
    /// [`TableError`], if the log or a file cannot be read.
    pub async fn dates_of(
        &self,
        ids: &HashSet<Arc<str>>,
        first: Date,
        last: Date,
    ) -> Result<HashMap<Arc<str>, Date>, TableError> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest::<R>(&self.options).await? else {
            return Ok(HashMap::new());
        };
        let lookup = lookup::Lookup::<R>::new(&snapshot, &self.filters);
        let wanted = Wanted::ids(ids);
        let mut dates = HashMap::new();
        for date in first.series(1.day()).take_while(|date| *date <= last) {
            for key in lookup.find(date, &wanted, &mut HashSet::new()).await? {
                dates.entry(key.id).or_insert(date);
            }
        }
        handle.keep(snapshot);
        Ok(dates)
    }
}

struct SetPositions<'a>(&'a BTreeMap<AppId, i64>);

impl Change for SetPositions<'_> {
    type Outcome = ();

    const NEEDS_LATEST: bool = true;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<()>, TableError> {
        let app_ids: Vec<AppId> = self.0.keys().cloned().collect();
        if snapshot.positions(&app_ids).await? == *self.0 {
            return Ok(Plan::Done(()));
        }
        let contents = Contents {
            actions: Vec::new(),
            advancing: self.0.clone(),
            operation: attempt::append_operation(),
        };
        Ok(Plan::Commit(Box::new(contents), ()))
    }

    fn staged(&self) -> Vec<Add> {
        Vec::new()
    }

    fn without_table(&self) -> Option<()> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tables::rows::attachments::AttachmentRow;

    /// Handlers spawn what they await.
    #[test]
    fn every_call_can_be_spawned() {
        fn spawnable<T: Send + 'static>(_: impl FnOnce(&'static Table<AttachmentRow>) -> T) {}
        spawnable(|table| table.append(Vec::new(), BTreeMap::new()));
        spawnable(|table| table.remove(BTreeMap::new()));
        spawnable(|table| table.optimize(1, |_| ()));
        spawnable(|table| table.vacuum(Duration::ZERO, false, false));
        spawnable(Table::info);
        spawnable(|table| table.positions(&[]));
        spawnable(|table| table.existing_keys(jiff::civil::date(2024, 1, 1), &[]));
        spawnable(|table| table.scan(&[]));
        spawnable(Table::probe);
    }
}
