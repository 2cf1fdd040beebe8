//! One Delta table of rows of one kind.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use tokio::sync::Mutex;

use crate::location::Location;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::handle::Handle;
use crate::tables::options::TableOptions;
use crate::tables::read::filters::FilterCache;
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::rows::row::{Key, TableRow};
use xact_contracts::onelake_billing::Bill;

/// A Delta table of rows `R`, partitioned by `event_date`, in which a key has at most one row per date.
///
/// Cheap to make: nothing is opened before the first call. Keep it, behind an `Arc`: it holds one open handle and the
/// bloom filters of the files that were searched. Appends through one `Table` wait for each other. Appends by other
/// handles and processes are safe as well; a conflict costs another attempt.
pub struct Table<R> {
    location: Location,
    pub(crate) options: Arc<TableOptions>,
    pub(crate) handle: Mutex<Handle<R>>,
    pub(crate) filters: FilterCache,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Table<R> {
    /// Returns a table at a location, which need not exist yet. No I/O.
    #[must_use]
    pub fn new(location: Location, options: TableOptions) -> Self {
        let options = Arc::new(options);
        Self {
            handle: Mutex::new(Handle::new(location.clone(), Arc::clone(&options))),
            filters: FilterCache::new(options.filter_cache_bytes),
            location,
            options,
            row: PhantomData,
        }
    }

    /// Returns where the table is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns what this table's requests have cost so far; `None` if it is not in OneLake.
    #[must_use]
    pub fn bill(&self) -> Option<Bill> {
        self.options.connection.bill()
    }

    /// Returns which of the keys have a row of that date. A table that does not exist has none.
    ///
    /// # Errors
    /// [`TableError`], if the log or a file cannot be read.
    pub async fn existing_keys(&self, date: Date, keys: &[Key]) -> Result<HashSet<Key>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(HashSet::new());
            };
            let lookup = Lookup::<R>::new(&snapshot, &self.filters);
            let found = lookup.find(date, &Wanted::new(keys), &mut HashSet::new()).await?;
            handle.keep(snapshot);
            Ok(found)
        })
        .await
    }

    /// Returns the earliest date from `first` to `last` on which each of the ids has a row, with any `replay_count`.
    /// Ids without a row are left out. Only dates that have files cost anything.
    ///
    /// # Errors
    /// [`TableError`], if the log or a file cannot be read.
    pub async fn dates_of(
        &self,
        ids: &HashSet<Arc<str>>,
        first: Date,
        last: Date,
    ) -> Result<HashMap<Arc<str>, Date>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(HashMap::new());
            };
            let lookup = Lookup::<R>::new(&snapshot, &self.filters);
            let wanted = Wanted::ids(ids);
            let mut dates = HashMap::new();
            for date in first.series(1.day()).take_while(|date| *date <= last) {
                for key in lookup.find(date, &wanted, &mut HashSet::new()).await? {
                    dates.entry(key.id).or_insert(date);
                }
            }
            handle.keep(snapshot);
            Ok(dates)
        })
        .await
    }

    /// Runs an operation, and adds the table's location to its error.
    pub(crate) async fn located<T>(
        &self,
        operation: impl Future<Output = Result<T, TableErrorKind>>,
    ) -> Result<T, TableError> {
        operation.await.map_err(|kind| kind.at(&self.location))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::tables::maintain::vacuum::Vacuum;
    use crate::tables::rows::AttachmentRow;

    /// Handlers spawn what they await.
    #[test]
    fn every_call_can_be_spawned() {
        fn spawnable<T: Send + 'static>(_: impl FnOnce(&'static Table<AttachmentRow>) -> T) {}
        spawnable(|table| table.append(Vec::new(), BTreeMap::new()));
        spawnable(|table| table.remove(BTreeMap::new()));
        spawnable(|table| table.optimize(1, || false));
        spawnable(|table| table.vacuum(Vacuum::dry_run(Duration::ZERO)));
        spawnable(Table::info);
        spawnable(|table| table.positions(&[]));
        spawnable(|table| table.existing_keys(jiff::civil::date(2024, 1, 1), &[]));
        spawnable(|table| table.scan(&[]));
        spawnable(Table::probe);
    }
}
