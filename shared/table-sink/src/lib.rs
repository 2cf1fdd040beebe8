//! What the two table-writing stages share: a table of the lake, seen as the runtime's handlers see dependencies.
//!
//! It is no stage; it stands beside them because `runtime` must not know the lake, nor the lake the runtime.

pub mod agreement;
mod undated;

pub use undated::{Undated, WINDOW_DAYS};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::{Mutex, MutexGuard};

use agreement::Verdict;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::topology::Stage;
use xact_lake::{
    Appended, AttachmentRow, Connection, EventRow, FailedRow, Key, Location, Sourced, Table, TableError, TableOptions,
    TableRow,
};
use xact_runtime::{AssignError, Assigned, SetupError, Starts, Unavailable};
use xact_telemetry::metrics::{Status, count_onelake, metrics};

/// Rows whose table is named by a variable.
pub trait Configured: TableRow {
    /// The variable.
    const VARIABLE: &str;

    /// The stage that writes them.
    const STAGE: Stage;

    /// Its value; empty when it is not set.
    fn path(settings: &Settings) -> &str;
}

impl Configured for EventRow {
    const VARIABLE: &str = "DELTA_EVENTS_TABLE_PATH";
    const STAGE: Stage = Stage::EventWriter;

    fn path(settings: &Settings) -> &str {
        &settings.events_table
    }
}

impl Configured for AttachmentRow {
    const VARIABLE: &str = "DELTA_INVENTORY_TABLE_PATH";
    const STAGE: Stage = Stage::ResultProcessor;

    fn path(settings: &Settings) -> &str {
        &settings.attachments_table
    }
}

impl Configured for FailedRow {
    const VARIABLE: &str = "DELTA_FAILED_TABLE_PATH";
    const STAGE: Stage = Stage::ResultProcessor;

    fn path(settings: &Settings) -> &str {
        &settings.failed_table
    }
}

/// The table of these rows, where the settings say. No I/O happens yet.
///
/// # Errors
/// When there is no path, or none that can be opened: a path that is no location, no identity for OneLake.
pub fn table<R: Configured>(settings: &Settings) -> Result<Table<R>, SetupError> {
    let (variable, path) = (R::VARIABLE, R::path(settings));
    if path.is_empty() {
        return Err(SetupError::new(format_args!(
            "{variable} is not set: name the place of table {} (abfss://… or file:///…), or set ENABLE_DELTA_WRITES=false",
            R::NAME
        )));
    }
    let refuse = |error: &dyn std::fmt::Display| SetupError::new(format_args!("{variable}: {error}"));
    let location = Location::parse(path).map_err(|error| refuse(&error))?;
    let connection =
        Connection::to(&location, || settings.identity(), settings.ca_file()).map_err(|error| refuse(&error))?;
    let connection = connection.observed(Arc::new(|operation, class, price| {
        count_onelake(R::STAGE, R::NAME, operation, class, price);
    }));
    let options = TableOptions {
        connection,
        ..TableOptions::default()
    };
    Ok(Table::new(location, options))
}

/// A table that a stage appends to; none when Delta writes are switched off.
pub struct TableSink<R: TableRow> {
    table: Option<Table<R>>,
    /// The table's position for each assigned partition, as far as this process knows: it is never ahead of the table.
    positions: Mutex<BTreeMap<AppId, Option<i64>>>,
}

impl<R: TableRow> TableSink<R> {
    /// The table where the settings say. No I/O happens yet.
    ///
    /// # Errors
    /// As [`table`].
    pub fn open(settings: &Settings) -> Result<Self, SetupError>
    where
        R: Configured,
    {
        if !settings.delta_writes {
            tracing::warn!(
                table = R::NAME,
                "ENABLE_DELTA_WRITES=false: nothing is written to this table"
            );
            return Ok(Self::with(None));
        }
        Ok(Self::of(table(settings)?))
    }

    /// A table that is open already.
    #[must_use]
    pub fn of(table: Table<R>) -> Self {
        Self::with(Some(table))
    }

    fn with(table: Option<Table<R>>) -> Self {
        Self {
            table,
            positions: Mutex::default(),
        }
    }

    /// What to note of this table beside a committed offset; nothing when it is not written.
    #[must_use]
    pub fn noted(&self, app_id: &AppId) -> Option<(String, Option<i64>)> {
        self.table.as_ref()?;
        let position = self.known().get(app_id).copied().flatten();
        Some((R::NAME.to_owned(), position))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<AppId, Option<i64>>> {
        self.positions.lock()
    }

    /// Compares the table's positions with those of the group and the topic (see [`agreement`]), and answers where to
    /// begin instead.
    ///
    /// # Errors
    /// [`AssignError::Refused`] with the way out; [`AssignError::Unavailable`] when the table cannot be read or written
    /// now.
    pub async fn check_positions(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        let Some(table) = &self.table else {
            return Ok(Starts::new());
        };
        let app_ids: Vec<AppId> = partitions.iter().map(|partition| partition.app_id.clone()).collect();
        let positions = guarded(table.positions(&app_ids)).await?;
        let mut starts = Starts::new();
        let mut moved = BTreeMap::new();
        for partition in partitions {
            let app_id = || partition.app_id.clone();
            let (table, topic, id) = (R::NAME, &partition.topic, partition.partition);
            match agreement::judge(R::NAME, partition, positions.get(&partition.app_id).copied()) {
                Verdict::Agree => {}
                Verdict::GoBack { to, why, gone } => {
                    match gone {
                        0 => tracing::warn!(table, topic, partition = id, begins_at = to, "{why}"),
                        records => tracing::error!(table, topic, partition = id, begins_at = to, records, "{why}"),
                    }
                    starts.insert(app_id(), to);
                }
                Verdict::MoveTable { to, why } => {
                    tracing::warn!(table, topic, partition = id, position = to, "{why}");
                    moved.insert(app_id(), to);
                    starts.insert(app_id(), to);
                }
                Verdict::Refuse(why) => return Err(AssignError::Refused(why)),
            }
        }
        guarded(table.set_positions(&moved)).await?;
        let mut known = self.known();
        for app_id in app_ids {
            let position = moved.get(&app_id).or_else(|| positions.get(&app_id)).copied();
            known.insert(app_id, position);
        }
        Ok(starts)
    }

    /// The earliest date from `first` to `last` on which each of the ids has a row.
    ///
    /// # Errors
    /// When the table cannot be read now.
    pub async fn dates_of(
        &self,
        ids: &HashSet<Arc<str>>,
        first: Date,
        last: Date,
    ) -> Result<HashMap<Arc<str>, Date>, Unavailable> {
        match &self.table {
            Some(table) => guarded(table.dates_of(ids, first, last)).await,
            None => Ok(HashMap::new()),
        }
    }

    /// Appends the rows that are not there yet, with the positions that they came from. `happened` are the events'
    /// own times, for the latency.
    ///
    /// # Errors
    /// When the table cannot be written now; the batch is tried again.
    pub async fn append(
        &self,
        rows: Vec<Sourced<R>>,
        positions: &BTreeMap<AppId, i64>,
        happened: &[Timestamp],
    ) -> Result<(), Unavailable> {
        let Some(table) = &self.table else {
            return Ok(());
        };
        let started = Instant::now();
        let appended = guarded(table.append(rows, positions.clone())).await;
        metrics()
            .delta_write_duration(R::NAME)
            .observe(started.elapsed().as_secs_f64());
        metrics().delta_writes(R::NAME, Status::of(&appended)).inc();
        let appended = appended?;
        count(R::NAME, &appended);
        if appended.version.is_some() {
            let mut known = self.known();
            for (app_id, next) in positions {
                let position = known.entry(app_id.clone()).or_default();
                *position = (*position).max(Some(*next));
            }
        }
        let now = Timestamp::now();
        for happened in happened {
            let latency = now.duration_since(*happened).as_secs_f64();
            metrics().end_to_end(R::NAME).observe(latency.max(0.0));
        }
        Ok(())
    }

    /// Removes the rows of these ids, each of its date, if there are any.
    ///
    /// # Errors
    /// When the table cannot be read or written now; it is safe to ask again.
    pub async fn remove(&self, ids: BTreeMap<Date, HashSet<Arc<str>>>) -> Result<(), Unavailable> {
        let Some(table) = &self.table else {
            return Ok(());
        };
        let removed = guarded(table.remove(ids)).await;
        // Looking and finding nothing is no write.
        if removed.as_ref().map_or(true, |removed| removed.version.is_some()) {
            metrics().delta_writes(R::NAME, Status::of(&removed)).inc();
        }
        let rows = removed?.rows as u64;
        metrics().delta_removed(R::NAME).inc_by(rows);
        Ok(())
    }

    /// Which of these keys the table has for a date.
    ///
    /// # Errors
    /// When the table cannot be read now.
    pub async fn existing_keys(&self, date: Date, keys: &[Key]) -> Result<HashSet<Key>, Unavailable> {
        match &self.table {
            Some(table) => guarded(table.existing_keys(date, keys)).await,
            None => Ok(HashSet::new()),
        }
    }
}

fn count(table: &str, appended: &Appended) {
    let rows = |count: usize| count as u64;
    metrics().delta_rows(table).inc_by(rows(appended.added));
    for (reason, skipped) in [("offset", appended.skipped_by_offset), ("key", appended.skipped_by_key)] {
        metrics().delta_duplicates(table, reason).inc_by(rows(skipped));
    }
}

/// Every table error is waited for: the rows are good, and none may be lost, however long the mending takes. So is a
/// panic below: it is the table's or the library's trouble, and blaming the batch's records would drop them.
async fn guarded<T>(work: impl Future<Output = Result<T, TableError>>) -> Result<T, Unavailable> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| {
            let unavailable = Unavailable::new("delta", error.to_string());
            match error {
                TableError::Restored { .. } => unavailable.reading_again(),
                _ => unavailable,
            }
        }),
        Err(_) => Err(Unavailable::new(
            "delta",
            "the table layer panicked; its last words are in the log. The batch is kept and tried again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_table_layer_is_waited_for() {
        let panics = async { panic!("damaged file") };
        let error = guarded::<()>(panics).await.unwrap_err();
        assert_eq!(error.dependency, "delta");
    }
}
