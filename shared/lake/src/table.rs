//! One Delta table, as the handlers see it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use deltalake::kernel::Add;
use jiff::ToSpan;
use jiff::civil::Date;
use tokio::sync::Mutex;

use crate::change::{self, Change, Plan};
use crate::commit::{self, Contents};
use crate::filter_cache::FilterCache;
use crate::handle::Handle;
use crate::key_lookup::{self, Wanted};
use crate::snapshot::Snapshot;
use crate::{Connection, Key, Location, StoreWrapper, TableError, TableRow};
use xact_contracts::onelake_billing::Bill;

/// How a [`Table`] behaves. The defaults are what production uses.
#[derive(Clone)]
pub struct TableOptions {
    /// Memory for the bloom filters of data files, in bytes.
    pub filter_cache_bytes: usize,
    /// How often the storage is asked whether the table is still the one that was loaded: one request each.
    pub confirm_every: Duration,
    /// Commits between two checkpoints.
    pub checkpoint_every: u32,
    /// How often an append is done again because another writer was faster, before it answers `Unavailable`.
    pub conflict_attempts: u32,
    /// How often a commit is tried again that the storage refused, before it answers `Unavailable`.
    pub storage_attempts: u32,
    /// Size of a data file at which a rewrite begins the next one, in bytes.
    pub target_file_bytes: u64,
    /// The first wait between two attempts is up to this long; it doubles, at most five times.
    pub backoff: Duration,
    /// What the location takes to be opened.
    pub connection: Connection,
    #[doc(hidden)]
    pub store_wrapper: Option<StoreWrapper>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            filter_cache_bytes: 32 * 1024 * 1024,
            confirm_every: Duration::from_secs(60),
            checkpoint_every: 100,
            conflict_attempts: 60,
            storage_attempts: 3,
            target_file_bytes: 128 * 1024 * 1024,
            backoff: Duration::from_millis(20),
            connection: Connection::local(),
            store_wrapper: None,
        }
    }
}

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
    pub async fn positions(&self, app_ids: &[String]) -> Result<BTreeMap<String, i64>, TableError> {
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
    pub async fn set_positions(&self, positions: &BTreeMap<String, i64>) -> Result<(), TableError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut handle = self.handle.lock().await;
        let mut change = SetPositions(positions);
        change::carry_out::<R, _>(&mut change, &mut handle, &self.options).await?;
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
        let lookup = key_lookup::Lookup::<R>::new(&snapshot, &self.filters);
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
        let lookup = key_lookup::Lookup::<R>::new(&snapshot, &self.filters);
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

struct SetPositions<'a>(&'a BTreeMap<String, i64>);

impl Change for SetPositions<'_> {
    type Outcome = ();

    const NEEDS_LATEST: bool = true;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<()>, TableError> {
        let app_ids: Vec<String> = self.0.keys().cloned().collect();
        if snapshot.positions(&app_ids).await? == *self.0 {
            return Ok(Plan::Done(()));
        }
        let contents = Contents {
            actions: Vec::new(),
            advancing: self.0.clone(),
            operation: commit::append_operation(),
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
    use super::*;
    use crate::AttachmentRow;

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
