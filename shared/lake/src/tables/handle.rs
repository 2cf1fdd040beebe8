//! An open table: loaded, kept at its latest known version, and created on first write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::object_store::{self, ObjectStoreExt, path::Path};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::StreamExt;
use tracing::{debug, info, warn};
use url::Url;

use crate::location::Location;
use crate::tables::error::TableError;
use crate::tables::log_cache::LogCache;
use crate::tables::options::TableOptions;
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::{Followed, Snapshot};
use crate::tables::{checkpoints, restored, schema, store};
use xact_contracts::ids::AppId;

const LOG: &str = "_delta_log";

/// The state that a [`crate::Table`] keeps between calls, behind its lock.
pub(crate) struct Handle {
    /// The location as text, for errors.
    pub(crate) at: String,
    location: Location,
    store: Option<(Arc<LogCache>, Url)>,
    /// Taken out by the call that works with it, and put back only when all went well: after an error the table is loaded again.
    snapshot: Option<Snapshot>,
    /// When the storage was last asked for the table that the snapshot is of.
    confirmed: Instant,
    /// Whether there was no table when it was last looked for.
    was_absent: bool,
    /// Version of the last checkpoint that we know of.
    pub(crate) checkpoint: Option<u64>,
    /// A checkpoint could not be read: the next commit makes a new one.
    pub(crate) needs_checkpoint: bool,
    /// How far this process has written each source, or has been told that it is written. A table whose position is behind
    /// that was taken back.
    pub(crate) written: HashMap<AppId, i64>,
}

impl Handle {
    pub(crate) fn new(location: Location) -> Self {
        Self {
            at: location.to_string(),
            location,
            store: None,
            snapshot: None,
            confirmed: Instant::now(),
            was_absent: false,
            checkpoint: None,
            needs_checkpoint: false,
            written: HashMap::new(),
        }
    }

    /// The table as it was known last, which takes no request in the steady state; `None` if it is not there.
    ///
    /// Others may have committed since. A commit at the next version then fails, so a plan made on this state is safe.
    pub(crate) async fn known<R: TableRow>(&mut self, options: &TableOptions) -> Result<Option<Snapshot>, TableError> {
        match self.snapshot.take() {
            Some(snapshot) if self.is_confirmed(&snapshot, options).await? => Ok(Some(snapshot)),
            _ => self.load::<R>(options).await,
        }
    }

    /// The table at its latest version; `None` if it is not there.
    pub(crate) async fn latest<R: TableRow>(&mut self, options: &TableOptions) -> Result<Option<Snapshot>, TableError> {
        let Some(mut snapshot) = self.snapshot.take() else {
            return self.load::<R>(options).await;
        };
        if !self.is_confirmed(&snapshot, options).await? || snapshot.follow_log().await? == Followed::Outdated {
            return self.load::<R>(options).await;
        }
        Ok(Some(snapshot))
    }

    /// [`Handle::known`]; the table is created if it is not there.
    pub(crate) async fn known_or_create<R: TableRow>(
        &mut self,
        options: &TableOptions,
    ) -> Result<Snapshot, TableError> {
        if let Some(snapshot) = self.known::<R>(options).await? {
            return Ok(snapshot);
        }
        let creation = self.create::<R>(options).await;
        // Another process may have been faster, or only the answer was lost: what counts is what is there now.
        match (self.load::<R>(options).await?, creation) {
            (Some(snapshot), _) => Ok(snapshot),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(TableError::unavailable(
                &self.at,
                "find",
                "it was created and is not there",
            )),
        }
    }

    /// Puts back what [`Handle::known`] or [`Handle::latest`] took out.
    pub(crate) fn keep(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    /// Whether the loaded table is still the one at its place, asked once in a while: somebody may have deleted or replaced
    /// it, and a commit at the next version would not notice.
    async fn is_confirmed(&mut self, snapshot: &Snapshot, options: &TableOptions) -> Result<bool, TableError> {
        if self.confirmed.elapsed() < options.confirm_every {
            return Ok(true);
        }
        let Some((store, url)) = &self.store else {
            return Ok(false);
        };
        let failed = |error: object_store::Error| TableError::unavailable(&self.at, "read the log of", error);
        let root = Path::from_url_path(url.path()).map_err(|error| failed(error.into()))?;
        let entry = root.join(LOG).join(format!("{:020}.json", snapshot.version));
        let is_current = store.is_current(&entry).await.map_err(failed)?;
        if !is_current {
            warn!(
                table = self.at,
                "the table was deleted or replaced while it was written to; loading it again"
            );
        }
        self.confirmed = Instant::now();
        Ok(is_current)
    }

    /// The table without its state. No I/O.
    pub(crate) fn unloaded(&mut self, options: &TableOptions) -> Result<DeltaTable, TableError> {
        let (store, url) = match &self.store {
            Some((store, url)) => (Arc::clone(store), url.clone()),
            None => {
                let (store, url) =
                    store::open_store(&self.location, &options.connection, options.store_wrapper.as_ref())?;
                self.store.insert((Arc::new(LogCache::new(store)), url)).clone()
            }
        };
        DeltaTableBuilder::from_url(url.clone())
            .and_then(|builder| builder.with_storage_backend(store, url).build())
            .map_err(|error| TableError::delta(&self.at, "open", &error))
    }

    /// deltalake's own view of the latest version, for maintenance; `None` if the table is not there.
    pub(crate) async fn deltalake<R: TableRow>(
        &mut self,
        options: &TableOptions,
    ) -> Result<Option<DeltaTable>, TableError> {
        let mut table = self.unloaded(options)?;
        if !self.is_there(&table).await? {
            return Ok(None);
        }
        self.load_log(&mut table).await?;
        schema::check::<R>(&table, &self.at)?;
        Ok(Some(table))
    }

    /// Loads the latest version. If a checkpoint, or the hint which one is the last, cannot be read, those before it are
    /// tried, and at last the entries alone: as long as the entries are there, nothing is lost.
    async fn load_log(&mut self, table: &mut DeltaTable) -> Result<(), TableError> {
        let Some((store, _)) = self.store.clone() else {
            return Err(TableError::unavailable(&self.at, "open", "it has no storage yet"));
        };
        let failed = |error: DeltaTableError| TableError::delta(&self.at, "read the log of", &error);
        store.hide_checkpoints(None);
        let Err(error) = table.load().await.map_err(failed) else {
            return Ok(());
        };
        if error.is_transient() {
            return Err(error);
        }
        // Without the hint alone, then without the newest checkpoint, and so on.
        let mut hidden = vec![u64::MAX];
        hidden.extend(checkpoints::versions(table).await);
        for from in hidden {
            store.hide_checkpoints(Some(from));
            let mut without = table.clone();
            if without.load().await.is_ok() {
                let damaged = match from {
                    u64::MAX => "_last_checkpoint".to_owned(),
                    version => format!("{version:020}.checkpoint.*"),
                };
                warn!(
                    table = self.at, %error, damaged,
                    "a checkpoint of the table, or _last_checkpoint, cannot be read; the log's other files are complete and are used instead. The next commit writes a new checkpoint. If other readers stumble over the damaged file, delete it"
                );
                self.needs_checkpoint = true;
                *table = without;
                return Ok(());
            }
        }
        store.hide_checkpoints(None);
        Err(error)
    }

    pub(crate) async fn load<R: TableRow>(&mut self, options: &TableOptions) -> Result<Option<Snapshot>, TableError> {
        let Some(table) = self.deltalake::<R>(options).await? else {
            return Ok(None);
        };
        let mut snapshot = Snapshot::of::<R>(table, &self.at).await?;
        let unloaded = self.unloaded(options)?;
        restored::notice(&mut snapshot, unloaded).await?;
        self.confirmed = Instant::now();
        debug!(table = self.at, version = snapshot.version, "loaded the table");
        Ok(Some(snapshot))
    }

    /// By two names rather than by listing: the first log entry, or, once old entries are cleaned up, the checkpoint hint. A
    /// table that appears while this process looks for it has its first entry.
    async fn is_there(&mut self, table: &DeltaTable) -> Result<bool, TableError> {
        let names = ["00000000000000000000.json", "_last_checkpoint"];
        let names = if self.was_absent { &names[..1] } else { &names[..] };
        for name in names {
            match table.object_store().head(&Path::from_iter([LOG, *name])).await {
                Ok(_) => {
                    self.was_absent = false;
                    return Ok(true);
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(TableError::unavailable(&self.at, "read the log of", error)),
            }
        }
        self.was_absent = true;
        Ok(false)
    }

    async fn create<R: TableRow>(&mut self, options: &TableOptions) -> Result<(), TableError> {
        let table = self.unloaded(options)?;
        // A log without its beginning is what remains of a table that was deleted while others wrote to it. A new first
        // entry beside it would make a table that nobody can read.
        match table.object_store().list(Some(&Path::from(LOG))).next().await {
            None => {}
            Some(Ok(found)) => {
                let reason = format!("{} is there, but not the first entry of its log", found.location);
                return Err(TableError::corrupt(&self.at, reason));
            }
            Some(Err(error)) => return Err(TableError::unavailable(&self.at, "list the log of", error)),
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
    use crate::tables::rows::failed::FailedRow;

    fn handle() -> (tempfile::TempDir, Handle) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
        (folder, Handle::new(location))
    }

    #[tokio::test]
    async fn remains_of_a_log_are_not_built_upon() {
        for (name, content) in [
            ("_last_checkpoint", "{\"version\":99}"),
            ("00000000000000000009.json", "{}"),
        ] {
            let (folder, mut handle) = handle();
            std::fs::create_dir(folder.path().join(LOG)).unwrap();
            std::fs::write(folder.path().join(LOG).join(name), content).unwrap();
            let refused = handle.known_or_create::<FailedRow>(&TableOptions::default()).await;
            assert!(refused.is_err(), "{name}");
            assert_eq!(std::fs::read_dir(folder.path().join(LOG)).unwrap().count(), 1, "{name}");
        }
    }

    #[tokio::test]
    async fn a_table_that_was_replaced_is_noticed() {
        let (folder, mut handle) = handle();
        let options = TableOptions {
            confirm_every: std::time::Duration::ZERO,
            ..TableOptions::default()
        };
        let snapshot = handle.known_or_create::<FailedRow>(&options).await.unwrap();
        handle.keep(snapshot);
        assert!(handle.known::<FailedRow>(&options).await.unwrap().is_some());
        let (_, mut other) = (folder.path(), Handle::new(handle.location.clone()));
        let snapshot = handle.load::<FailedRow>(&options).await.unwrap().unwrap();
        handle.keep(snapshot);
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(handle.known::<FailedRow>(&options).await.unwrap().is_none(), "deleted");
        other.known_or_create::<FailedRow>(&options).await.unwrap();
        assert!(
            handle.known::<FailedRow>(&options).await.unwrap().is_some(),
            "created again"
        );
    }
}
