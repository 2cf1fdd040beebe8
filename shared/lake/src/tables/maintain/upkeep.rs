//! What an operator asks about a table and does for it: its state, unused files, checkpoints, old log entries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use deltalake::DeltaTable;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use deltalake::operations::vacuum::VacuumMode;
use jiff::civil::Date;

use crate::tables::checkpoints;
use crate::tables::error::TableError;
use crate::tables::features::Obstacle;
use crate::tables::maintain::optimize::is_small;
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

/// Nothing younger is deleted without being told so twice: readers and writers of that age may still need it.
pub const VACUUM_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The state of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInfo {
    /// The latest version.
    pub version: u64,
    /// Version of the last checkpoint; reading the log begins there.
    pub checkpoint: Option<u64>,
    /// Data files.
    pub files: usize,
    /// Rows; files whose writer did not count them are left out.
    pub rows: usize,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Dates that have files.
    pub dates: usize,
    /// The first of them.
    pub first_date: Option<Date>,
    /// The last of them.
    pub last_date: Option<Date>,
    /// Files that `optimize` would put together.
    pub small_files: usize,
    /// What keeps this program from appending.
    pub obstacles: Vec<Obstacle>,
}

/// What a vacuum deleted, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files, relative to the table.
    pub files: Vec<String>,
    /// Whether they were deleted.
    pub is_done: bool,
}

impl<R: TableRow> Table<R> {
    /// The state of the table; `None` if it is not there.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn info(&self) -> Result<Option<TableInfo>, TableError> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest::<R>(&self.options).await? else {
            return Ok(None);
        };
        let mut info = TableInfo {
            version: snapshot.version,
            checkpoint: checkpoints::read_last(&snapshot.table).await,
            obstacles: snapshot.obstacles(),
            ..TableInfo::default()
        };
        let mut dates = BTreeSet::new();
        let mut small: BTreeMap<Date, usize> = BTreeMap::new();
        for file in snapshot.files_between(None) {
            info.files += 1;
            info.rows += file.rows.unwrap_or_default();
            info.bytes += file.bytes;
            let Some(date) = file.date else { continue };
            dates.insert(date);
            if is_small(file.bytes, self.options.target_file_bytes) {
                *small.entry(date).or_default() += 1;
            }
        }
        info.dates = dates.len();
        info.first_date = dates.first().copied();
        info.last_date = dates.last().copied();
        info.small_files = small.into_values().filter(|files| *files > 1).sum();
        handle.keep(snapshot);
        Ok(Some(info))
    }

    /// Lists the files that no version of the last `retention` names, those of crashed writers among them, and deletes
    /// them if `delete` says so. Younger files are never touched. `None` if the table is not there.
    ///
    /// A reader of an older version, or a writer whose commit is older than `retention` and not yet sent, would miss its
    /// files: below [`VACUUM_RETENTION`] only `allow_short` permits it.
    ///
    /// # Errors
    /// [`TableError`]; [`TableError::Refused`] if the retention is too short.
    pub async fn vacuum(
        &self,
        retention: Duration,
        allow_short: bool,
        delete: bool,
    ) -> Result<Option<Vacuumed>, TableError> {
        let Some((table, at)) = self.writable().await? else {
            return Ok(None);
        };
        if retention < VACUUM_RETENTION && !allow_short {
            return Err(TableError::Refused {
                table: at,
                reason: format!(
                    "a retention of {} h is shorter than {} h, so files could go that a reader or a slow writer still needs",
                    retention.as_secs() / 3600,
                    VACUUM_RETENTION.as_secs() / 3600
                ),
            });
        }
        let failed = |error| TableError::delta(&at, "vacuum", &error);
        let period = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        // Planned there and deleted here, one by one: OneLake refuses deletes in batches.
        let (_, planned) = table
            .clone()
            .vacuum()
            .with_retention_period(TimeDelta::try_seconds(period).unwrap_or(TimeDelta::MAX))
            .with_enforce_retention_duration(false)
            .with_mode(VacuumMode::Full)
            .with_dry_run(true)
            .await
            .map_err(failed)?;
        let mut files = planned.files_deleted;
        files.sort();
        if delete {
            for file in &files {
                match table.object_store().delete(&Path::from(file.as_str())).await {
                    // Gone already: another vacuum.
                    Ok(()) | Err(deltalake::ObjectStoreError::NotFound { .. }) => {}
                    Err(error) => return Err(TableError::unavailable(&at, "delete unused files of", error)),
                }
            }
        }
        Ok(Some(Vacuumed { files, is_done: delete }))
    }

    /// Makes a checkpoint of the latest version, which is returned. `None` if the table is not there.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn checkpoint(&self) -> Result<Option<u64>, TableError> {
        let Some((table, at)) = self.opened().await? else {
            return Ok(None);
        };
        deltalake::checkpoints::create_checkpoint(&table, None)
            .await
            .map_err(|error| TableError::delta(&at, "write a checkpoint of", &error))?;
        Ok(table.version())
    }

    /// Deletes log entries that are older than the table's `delta.logRetentionDuration` (30 days) and covered by a
    /// checkpoint; returns how many. Versions before that can no longer be read or restored. `None` if the table is not
    /// there.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn clean_log(&self) -> Result<Option<usize>, TableError> {
        let Some((table, at)) = self.opened().await? else {
            return Ok(None);
        };
        let mut handle = self.handle.lock().await;
        if let Some(snapshot) = handle.latest::<R>(&self.options).await? {
            if snapshot.features.protects_checkpoints {
                return Err(TableError::Refused {
                    table: at,
                    reason: "delta.requireCheckpointProtectionBeforeVersion is set: let Spark clean up its log"
                        .to_owned(),
                });
            }
            handle.keep(snapshot);
        }
        drop(handle);
        deltalake::checkpoints::cleanup_metadata(&table, None)
            .await
            .map(Some)
            .map_err(|error| TableError::delta(&at, "clean up the log of", &error))
    }

    /// deltalake's own view of a table whose features are all known here: another kind of table may have files that its log
    /// does not name as data files.
    async fn writable(&self) -> Result<Option<(DeltaTable, String)>, TableError> {
        let Some(opened) = self.opened().await? else {
            return Ok(None);
        };
        let mut handle = self.handle.lock().await;
        if let Some(snapshot) = handle.latest::<R>(&self.options).await? {
            snapshot.check_writable()?;
            handle.keep(snapshot);
        }
        Ok(Some(opened))
    }

    /// deltalake's own view of the table.
    async fn opened(&self) -> Result<Option<(DeltaTable, String)>, TableError> {
        let mut handle = self.handle.lock().await;
        let table = handle.deltalake::<R>(&self.options).await?;
        Ok(table.map(|table| (table, handle.at.clone())))
    }
}
