//! A table of the lake as the dependency of a batch handler: errors become [`Unavailable`], writes are counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::Mutex;

use crate::agreement::{self, Decision};
use crate::configured::{Configured, OpenTableError, table};
use crate::unavailable::unavailable_on_error;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_lake::{Appended, Key, Source, Sourced, Table, TableRow};
use xact_runtime::{AssignError, Assigned, Delivered, Starts, Unavailable};
use xact_telemetry::metrics::{Status, metrics};

/// A table that a stage writes to. Without a table (`ENABLE_DELTA_WRITES=false`), writes do nothing.
pub struct TableSink<R: TableRow> {
    table: Option<Table<R>>,
    /// The table's position of each assigned partition, as last read or written by this process. Never ahead of the table.
    positions: Mutex<BTreeMap<AppId, Option<i64>>>,
}

impl<R: TableRow> TableSink<R> {
    /// Writes to the configured table, unless Delta writes are disabled. No I/O happens yet.
    ///
    /// # Errors
    /// Those of [`table`].
    pub fn open(settings: &Settings) -> Result<Self, OpenTableError>
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

    /// Writes to `table`.
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

    /// Returns the table's name and position, to be kept in the metadata of a committed offset; `None` without a table.
    #[must_use]
    pub fn position_note(&self, app_id: &AppId) -> Option<(String, Option<i64>)> {
        self.table.as_ref()?;
        let position = self.positions.lock().get(app_id).copied().flatten();
        Some((R::NAME.to_owned(), position))
    }

    /// Compares the table's positions with those of the group and the topic (see [`agreement`]). Returns the partitions that
    /// must start at another offset than the runtime's.
    ///
    /// # Errors
    /// [`AssignError::Refused`] with what to do; [`AssignError::Unavailable`] when the table cannot be read or written now.
    pub async fn check_positions(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        let Some(table) = &self.table else {
            return Ok(Starts::new());
        };
        let app_ids: Vec<AppId> = partitions.iter().map(|partition| partition.app_id.clone()).collect();
        let positions = unavailable_on_error(table.positions(&app_ids)).await?;
        let mut starts = Starts::new();
        let mut moved = BTreeMap::new();
        for partition in partitions {
            let app_id = || partition.app_id.clone();
            let (table, topic, id) = (R::NAME, &partition.topic, partition.partition);
            match agreement::compare(R::NAME, partition, positions.get(&partition.app_id).copied()) {
                Decision::Agree => {}
                Decision::Rewind { to, reason, expired } => {
                    match expired {
                        0 => tracing::warn!(table, topic, partition = id, start = to, "{reason}"),
                        records => tracing::error!(table, topic, partition = id, start = to, records, "{reason}"),
                    }
                    starts.insert(app_id(), to);
                }
                Decision::SetPosition { to, reason } => {
                    tracing::warn!(table, topic, partition = id, position = to, "{reason}");
                    moved.insert(app_id(), to);
                    starts.insert(app_id(), to);
                }
                Decision::Refuse(reason) => return Err(AssignError::Refused(reason)),
            }
        }
        unavailable_on_error(table.set_positions(&moved)).await?;
        let mut known = self.positions.lock();
        for app_id in app_ids {
            let position = moved.get(&app_id).or_else(|| positions.get(&app_id)).copied();
            known.insert(app_id, position);
        }
        Ok(starts)
    }

    /// Returns, for each of the ids that has a row from `first` to `last`, the earliest date of one.
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
            Some(table) => unavailable_on_error(table.dates_of(ids, first, last)).await,
            None => Ok(HashMap::new()),
        }
    }

    /// Appends the rows that the table does not have yet, together with the positions of their partitions. `event_times` are
    /// the events' own timestamps, for the latency metric.
    ///
    /// # Errors
    /// When the table cannot be written now; the batch is retried.
    pub async fn append(
        &self,
        rows: Vec<Sourced<R>>,
        positions: &BTreeMap<AppId, i64>,
        event_times: &[Timestamp],
    ) -> Result<(), Unavailable> {
        let Some(table) = &self.table else {
            return Ok(());
        };
        let started = Instant::now();
        let appended = unavailable_on_error(table.append(rows, positions.clone())).await;
        metrics()
            .delta_write_duration(R::NAME)
            .observe(started.elapsed().as_secs_f64());
        metrics().delta_writes(R::NAME, Status::of(&appended)).inc();
        let appended = appended?;
        count(R::NAME, &appended);
        if appended.version.is_some() {
            let mut known = self.positions.lock();
            for (app_id, next) in positions {
                let position = known.entry(app_id.clone()).or_default();
                *position = (*position).max(Some(*next));
            }
        }
        let (now, end_to_end) = (Timestamp::now(), metrics().end_to_end(R::NAME));
        for event_time in event_times {
            let latency = now.duration_since(*event_time).as_secs_f64();
            end_to_end.observe(latency.max(0.0));
        }
        Ok(())
    }

    /// Removes the rows of these ids on their dates. Idempotent.
    ///
    /// # Errors
    /// When the table cannot be read or written now.
    pub async fn remove(&self, ids: BTreeMap<Date, HashSet<Arc<str>>>) -> Result<(), Unavailable> {
        let Some(table) = &self.table else {
            return Ok(());
        };
        let removed = unavailable_on_error(table.remove(ids)).await;
        // A removal that finds no rows is not a write.
        if removed.as_ref().map_or(true, |removed| removed.version.is_some()) {
            metrics().delta_writes(R::NAME, Status::of(&removed)).inc();
        }
        let rows = removed?.rows as u64;
        metrics().delta_removed(R::NAME).inc_by(rows);
        Ok(())
    }

    /// Returns those of the keys that have a row on this date.
    ///
    /// # Errors
    /// When the table cannot be read now.
    pub async fn existing_keys(&self, date: Date, keys: &[Key]) -> Result<HashSet<Key>, Unavailable> {
        match &self.table {
            Some(table) => unavailable_on_error(table.existing_keys(date, keys)).await,
            None => Ok(HashSet::new()),
        }
    }
}

/// Adds the record's position to its row. A record that did not come from the topic (`/invoke`) has none.
pub fn sourced<I, R>(record: &Delivered<I>, row: R) -> Sourced<R> {
    let source = record.app_id.clone().map(|app_id| Source {
        app_id,
        offset: record.source.offset,
    });
    Sourced { row, source }
}

fn count(table: &str, appended: &Appended) {
    let rows = |count: usize| count as u64;
    metrics().delta_rows(table).inc_by(rows(appended.added));
    for (reason, skipped) in [("offset", appended.skipped_by_offset), ("key", appended.skipped_by_key)] {
        metrics().delta_duplicates(table, reason).inc_by(rows(skipped));
    }
}
