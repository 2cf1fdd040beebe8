//! An open table: loaded, refreshed, created on first write, and reopened now and then.

use std::sync::Arc;

use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::object_store::{self, ObjectStore, ObjectStoreExt, path::Path};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder};
use tracing::{debug, info};
use url::Url;

use crate::positions::Positions;
use crate::rows::EVENT_DATE;
use crate::{Location, TableError, TableOptions, TableRow, schema, store};

/// The state that a [`crate::Table`] keeps between calls, behind its lock.
pub(crate) struct Handle {
    /// The location as text, for errors.
    pub(crate) at: String,
    location: Location,
    store: Option<(Arc<dyn ObjectStore>, Url)>,
    table: Option<DeltaTable>,
    commits: u32,
    pub(crate) positions: Positions,
    /// Version of the last checkpoint that we know of.
    pub(crate) checkpoint: Option<u64>,
}

impl Handle {
    pub(crate) fn new(location: Location) -> Self {
        Self {
            at: location.to_string(),
            location,
            store: None,
            table: None,
            commits: 0,
            positions: Positions::default(),
            checkpoint: None,
        }
    }

    /// The table at its latest version, or `None` if it is not there yet.
    pub(crate) async fn refresh<R: TableRow>(
        &mut self,
        options: &TableOptions,
    ) -> Result<Option<DeltaTable>, TableError> {
        // Taken out, and put back only when all is well: after an error the next call starts afresh.
        let refreshed = match self.table.take() {
            Some(mut table) => {
                table
                    .update_state()
                    .await
                    .map_err(|error| TableError::delta(&self.at, "read the log of", &error))?;
                table
            }
            None => match self.load::<R>(options).await? {
                Some(table) => table,
                None => return Ok(None),
            },
        };
        self.table = Some(refreshed.clone());
        Ok(Some(refreshed))
    }

    /// The table at its latest version; it is created if it is not there.
    pub(crate) async fn refresh_or_create<R: TableRow>(
        &mut self,
        options: &TableOptions,
    ) -> Result<DeltaTable, TableError> {
        if let Some(table) = self.refresh::<R>(options).await? {
            return Ok(table);
        }
        let creation = self.create::<R>(options).await;
        // Another process may have been faster, or the answer alone was lost: what counts is what is there now.
        match (self.refresh::<R>(options).await?, creation) {
            (Some(table), _) => Ok(table),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(TableError::unavailable(
                &self.at,
                "find",
                "it was created and is not listed",
            )),
        }
    }

    /// Takes over the state after a commit of ours, so that the next refresh has nothing to read.
    pub(crate) fn committed(&mut self, table: DeltaTable, options: &TableOptions) {
        self.commits += 1;
        // A handle grows with each commit, in memory and in time (facts: 43 to 138 MB over 500 commits).
        if self.commits >= options.reopen_every {
            self.commits = 0;
            self.table = None;
        } else {
            self.table = Some(table);
        }
    }

    /// Forgets the loaded state: the next refresh reads it from the storage.
    pub(crate) fn forget(&mut self) {
        self.table = None;
    }

    /// The table without its state. No I/O.
    pub(crate) fn unloaded(&mut self, options: &TableOptions) -> Result<DeltaTable, TableError> {
        let (store, url) = match &self.store {
            Some((store, url)) => (Arc::clone(store), url.clone()),
            None => {
                let opened = store::open_store(&self.location, &options.connection, options.store_wrapper.as_ref())?;
                self.store.insert(opened).clone()
            }
        };
        DeltaTableBuilder::from_url(url.clone())
            .and_then(|builder| builder.with_storage_backend(store, url).build())
            .map_err(|error| TableError::delta(&self.at, "open", &error))
    }

    async fn load<R: TableRow>(&mut self, options: &TableOptions) -> Result<Option<DeltaTable>, TableError> {
        let mut table = self.unloaded(options)?;
        let there = table
            .verify_deltatable_existence()
            .await
            .map_err(|error| TableError::delta(&self.at, "list the log of", &error))?;
        if !there {
            return Ok(None);
        }
        table
            .load()
            .await
            .map_err(|error| TableError::delta(&self.at, "read the log of", &error))?;
        schema::check::<R>(&table, &self.at)?;
        debug!(table = self.at, version = table.version(), "opened the table");
        Ok(Some(table))
    }

    async fn create<R: TableRow>(&mut self, options: &TableOptions) -> Result<(), TableError> {
        let table = self.unloaded(options)?;
        // A log that lists as empty but has a checkpoint is a listing that cannot be trusted (OneLake has given those),
        // and a second version 0 would bury the first.
        let hint = Path::from("_delta_log/_last_checkpoint");
        match table.object_store().head(&hint).await {
            Err(object_store::Error::NotFound { .. }) => {}
            Ok(_) => {
                return Err(TableError::unavailable(
                    &self.at,
                    "list the log of",
                    "it lists as empty but has a checkpoint",
                ));
            }
            Err(error) => return Err(TableError::unavailable(&self.at, "read the log of", error)),
        }
        CreateBuilder::new()
            .with_log_store(table.log_store())
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_table_name(R::NAME)
            .with_columns(R::delta_schema())
            .with_partition_columns([EVENT_DATE])
            .with_configuration([
                ("delta.checkpointInterval", Some(options.checkpoint_every.to_string())),
                // Cleaning up after every commit deletes in batches, which OneLake refuses: `table vacuum` does it on purpose.
                ("delta.enableExpiredLogCleanup", Some("false".to_owned())),
                ("delta.dataSkippingStatsColumns", Some(R::STATISTICS.join(","))),
            ])
            .with_commit_properties(
                CommitProperties::default()
                    .with_max_retries(0)
                    .with_cleanup_expired_logs(Some(false)),
            )
            .await
            .map_err(|error| TableError::delta(&self.at, "create", &error))?;
        info!(table = self.at, "created the table");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::FailedRow;

    #[tokio::test]
    async fn the_handle_is_opened_afresh_after_the_given_number_of_commits() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
        let options = TableOptions {
            reopen_every: 3,
            ..TableOptions::default()
        };
        let mut handle = Handle::new(location);
        let mut open_after = Vec::new();
        for _ in 0..6 {
            let table = handle.refresh_or_create::<FailedRow>(&options).await.unwrap();
            handle.committed(table, &options);
            open_after.push(handle.table.is_some());
        }
        assert_eq!(open_after, [true, true, false, true, true, false]);
    }

    #[tokio::test]
    async fn an_empty_listing_beside_a_checkpoint_creates_no_second_table() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
        std::fs::create_dir(folder.path().join("_delta_log")).unwrap();
        std::fs::write(folder.path().join("_delta_log/_last_checkpoint"), "{\"version\":99}").unwrap();
        let mut handle = Handle::new(location);
        let refused = handle.refresh_or_create::<FailedRow>(&TableOptions::default()).await;
        assert!(refused.unwrap_err().is_transient());
        assert_eq!(std::fs::read_dir(folder.path().join("_delta_log")).unwrap().count(), 1);
    }
}
