//! Vacuum: deletes the files that no retained version of the table names.

use std::time::Duration;

use chrono::TimeDelta;
use deltalake::logstore::object_store::{self, ObjectStoreExt, path::Path};
use deltalake::operations::vacuum::VacuumMode;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

/// The shortest retention that needs no confirmation: readers and writers of that age may still need a file.
pub const VACUUM_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// How a table is vacuumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuum {
    retention: Duration,
    /// Whether the retention may be shorter than [`VACUUM_RETENTION`].
    allows_short_retention: bool,
    deletes: bool,
}

impl Vacuum {
    /// Lists the files that a vacuum with this retention would delete.
    #[must_use]
    pub fn dry_run(retention: Duration) -> Self {
        Self {
            retention,
            allows_short_retention: false,
            deletes: false,
        }
    }

    /// Deletes the files that no version of the last `retention` names. Younger files are always kept.
    #[must_use]
    pub fn delete(retention: Duration) -> Self {
        Self {
            deletes: true,
            ..Self::dry_run(retention)
        }
    }

    /// Allows a retention below [`VACUUM_RETENTION`]. A reader of an older version would miss its files, and so would a
    /// writer whose commit is older than the retention and not yet sent.
    #[must_use]
    pub fn allow_short_retention(mut self) -> Self {
        self.allows_short_retention = true;
        self
    }
}

/// What a vacuum deleted, or would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files, relative to the table.
    pub files: Vec<String>,
    /// Whether they were deleted.
    pub is_done: bool,
}

impl<R: TableRow> Table<R> {
    /// Deletes, or lists, the files that no version within the retention names; those of crashed writers are among them.
    /// `None` if the table does not exist.
    ///
    /// # Errors
    /// [`TableError`]; of the kind [`TableErrorKind::Refused`] if the retention is too short.
    pub async fn vacuum(&self, vacuum: Vacuum) -> Result<Option<Vacuumed>, TableError> {
        self.located(self.delete_unused_files(vacuum)).await
    }

    async fn delete_unused_files(&self, vacuum: Vacuum) -> Result<Option<Vacuumed>, TableErrorKind> {
        let mut handle = self.handle.lock().await;
        let Some(table) = handle.loaded_table().await? else {
            return Ok(None);
        };
        // A table with unknown features may have files that its log does not name as data files.
        if let Some(snapshot) = handle.latest().await? {
            snapshot.check_writable()?;
            handle.keep(snapshot);
        }
        drop(handle);
        let retention = vacuum.retention;
        if retention < VACUUM_RETENTION && !vacuum.allows_short_retention {
            return Err(TableErrorKind::Refused(format!(
                "a retention of {} h is shorter than {} h, so files could be deleted that a reader or a slow writer still needs",
                retention.as_secs() / 3600,
                VACUUM_RETENTION.as_secs() / 3600
            )));
        }
        let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        // Planned by deltalake and deleted here, one by one: OneLake refuses deletes in batches.
        let (_, planned) = table
            .clone()
            .vacuum()
            .with_retention_period(TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX))
            .with_enforce_retention_duration(false)
            .with_mode(VacuumMode::Full)
            .with_dry_run(true)
            .await
            .map_err(|error| TableErrorKind::delta("plan a vacuum", &error))?;
        let mut files = planned.files_deleted;
        files.sort();
        if vacuum.deletes {
            for file in &files {
                match table.object_store().delete(&Path::from(file.as_str())).await {
                    // Another vacuum may have deleted it.
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(TableErrorKind::unavailable("delete unused files", error)),
                }
            }
        }
        let is_done = vacuum.deletes;
        Ok(Some(Vacuumed { files, is_done }))
    }
}
