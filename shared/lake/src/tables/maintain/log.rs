//! Maintenance of a table's log: writes checkpoints, deletes old entries.

use crate::tables::checkpoints;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

impl<R: TableRow> Table<R> {
    /// Writes a checkpoint of the latest version, and returns the version. `None` if the table does not exist.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn checkpoint(&self) -> Result<Option<u64>, TableError> {
        self.located(async {
            let Some(table) = self.handle.lock().await.loaded_table().await? else {
                return Ok(None);
            };
            checkpoints::write(&table).await?;
            Ok(table.version())
        })
        .await
    }

    /// Deletes log entries that are older than the table's `delta.logRetentionDuration` (30 days) and covered by a
    /// checkpoint; returns how many. Versions before that can no longer be read or restored. `None` if the table does
    /// not exist.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn clean_log(&self) -> Result<Option<usize>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(table) = handle.loaded_table().await? else {
                return Ok(None);
            };
            if let Some(snapshot) = handle.latest().await? {
                let is_protected = snapshot.features.protects_checkpoints;
                handle.keep(snapshot);
                if is_protected {
                    let reason = "delta.requireCheckpointProtectionBeforeVersion is set: let Spark clean up its log";
                    return Err(TableErrorKind::Refused(reason.to_owned()));
                }
            }
            drop(handle);
            let deleted = deltalake::checkpoints::cleanup_metadata(&table, None).await;
            let deleted = deleted.map_err(|error| TableErrorKind::delta("clean up its log", &error))?;
            Ok(Some(deleted))
        })
        .await
    }
}
