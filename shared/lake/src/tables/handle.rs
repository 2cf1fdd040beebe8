//! An open table: loaded, kept at its last known version, and created when the first row is appended.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::object_store::{self, ObjectStoreExt, path::Path};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder};
use futures::StreamExt;
use tracing::{debug, info, warn};
use url::Url;

use crate::location::Location;
use crate::tables::error::TableErrorKind;
use crate::tables::log_cache::LogCache;
use crate::tables::options::TableOptions;
use crate::tables::rows::row::{EVENT_DATE, TableRow};
use crate::tables::snapshot::{Followed, Snapshot};
use crate::tables::{checkpoints, restored, schema, store};
use xact_contracts::ids::AppId;

const LOG: &str = "_delta_log";

/// The state that a [`crate::Table`] keeps between calls, behind its lock.
pub(crate) struct Handle<R> {
    /// The location as text, for log lines.
    pub(crate) at: String,
    location: Location,
    pub(crate) options: Arc<TableOptions>,
    store: Option<(Arc<LogCache>, Url)>,
    /// Taken out by the call that works with it, and put back only after success: after an error, or when the call is
    /// cancelled, the table is loaded again.
    snapshot: Option<Snapshot>,
    /// When the storage was last asked whether the table of the snapshot still exists.
    confirmed: Instant,
    /// Whether the table did not exist when it was last looked up.
    was_absent: bool,
    /// Version of the last known checkpoint.
    pub(crate) checkpoint: Option<u64>,
    /// Whether a checkpoint could not be read: the next commit writes a new one.
    pub(crate) needs_checkpoint: bool,
    /// The offset up to which each source is written, as this process wrote or read it. A table whose position is behind
    /// it was restored to an earlier version.
    pub(crate) written: HashMap<AppId, i64>,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Handle<R> {
    pub(crate) fn new(location: Location, options: Arc<TableOptions>) -> Self {
        Self {
            at: location.to_string(),
            location,
            options,
            store: None,
            snapshot: None,
            confirmed: Instant::now(),
            was_absent: false,
            checkpoint: None,
            needs_checkpoint: false,
            written: HashMap::new(),
            row: PhantomData,
        }
    }

    /// Returns the table as it was last known, usually without a request; `None` if it does not exist.
    ///
    /// Other writers may have committed since. A commit at the next version then conflicts, so a plan made on this state
    /// is safe.
    pub(crate) async fn last_known(&mut self) -> Result<Option<Snapshot>, TableErrorKind> {
        match self.snapshot.take() {
            Some(snapshot) if self.is_confirmed(&snapshot).await? => Ok(Some(snapshot)),
            _ => self.load().await,
        }
    }

    /// Returns the table at its latest version; `None` if it does not exist.
    pub(crate) async fn latest(&mut self) -> Result<Option<Snapshot>, TableErrorKind> {
        let Some(mut snapshot) = self.snapshot.take() else {
            return self.load().await;
        };
        if !self.is_confirmed(&snapshot).await? || snapshot.follow_log().await? == Followed::Outdated {
            return self.load().await;
        }
        Ok(Some(snapshot))
    }

    /// Returns [`Handle::last_known`], and creates the table if it does not exist.
    pub(crate) async fn last_known_or_create(&mut self) -> Result<Snapshot, TableErrorKind> {
        if let Some(snapshot) = self.last_known().await? {
            return Ok(snapshot);
        }
        let creation = self.create().await;
        // Another process may have created it first, or only the answer was lost: what exists now decides.
        if let Some(snapshot) = self.load().await? {
            return Ok(snapshot);
        }
        creation?;
        let reason = "it was created and does not exist";
        Err(TableErrorKind::unavailable("find it", reason))
    }

    /// Brings the snapshot to the latest version, by the entries of the log or by loading the table again.
    pub(crate) async fn follow(&mut self, snapshot: &mut Snapshot) -> Result<(), TableErrorKind> {
        if snapshot.follow_log().await? == Followed::Outdated {
            let reason = "the table was deleted while it was written to";
            let deleted = || TableErrorKind::unavailable("read its log", reason);
            *snapshot = self.load().await?.ok_or_else(deleted)?;
        }
        Ok(())
    }

    /// Puts back the snapshot that [`Handle::last_known`] or [`Handle::latest`] took out.
    pub(crate) fn keep(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    /// Returns whether the table at the location is still the one that was loaded. Reads the storage at intervals: the
    /// table may have been deleted or replaced, and a commit at the next version would not detect this.
    async fn is_confirmed(&mut self, snapshot: &Snapshot) -> Result<bool, TableErrorKind> {
        if self.confirmed.elapsed() < self.options.confirm_every {
            return Ok(true);
        }
        let Some((store, url)) = &self.store else {
            return Ok(false);
        };
        let failed = |error: object_store::Error| TableErrorKind::unavailable("read its log", error);
        let root = Path::from_url_path(url.path()).map_err(|error| failed(error.into()))?;
        let entry = root.join(LOG).join(format!("{:020}.json", snapshot.version));
        let is_current = store.is_current(&entry).await.map_err(failed)?;
        if !is_current {
            let table = &self.at;
            warn!(
                table,
                "the table was deleted or replaced while it was written to; loading it again"
            );
        }
        self.confirmed = Instant::now();
        Ok(is_current)
    }

    /// Returns the table without its state. No I/O.
    pub(crate) fn unloaded_table(&mut self) -> Result<DeltaTable, TableErrorKind> {
        let (store, url) = self.store()?;
        DeltaTableBuilder::from_url(url.clone())
            .and_then(|builder| builder.with_storage_backend(store, url).build())
            .map_err(|error| TableErrorKind::delta("open it", &error))
    }

    fn store(&mut self) -> Result<(Arc<LogCache>, Url), TableErrorKind> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let options = &self.options;
        let (store, url) = store::open_store(&self.location, &options.connection, options.store_wrapper.as_ref())?;
        let store = self.store.insert((Arc::new(LogCache::new(store)), url));
        Ok(store.clone())
    }

    /// Returns deltalake's own table at its latest version; `None` if it does not exist.
    pub(crate) async fn loaded_table(&mut self) -> Result<Option<DeltaTable>, TableErrorKind> {
        let mut table = self.unloaded_table()?;
        if !self.exists(&table).await? {
            return Ok(None);
        }
        self.load_log(&mut table).await?;
        schema::check::<R>(&table)?;
        Ok(Some(table))
    }

    /// Loads the latest version. If a checkpoint, or the file that names the last one, cannot be read, the checkpoints
    /// before it are tried, and in the end the log entries alone: if they are complete, nothing is lost.
    async fn load_log(&mut self, table: &mut DeltaTable) -> Result<(), TableErrorKind> {
        let (store, _) = self.store()?;
        store.hide_checkpoints(None);
        let Err(error) = table.load().await else {
            return Ok(());
        };
        let error = TableErrorKind::delta("read its log", &error);
        if error.is_transient() {
            return Err(error);
        }
        // First without `_last_checkpoint` alone, then without the newest checkpoint, and so on.
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
                    "a checkpoint of the table, or _last_checkpoint, cannot be read; the log's other files are complete and are used instead. The next commit writes a new checkpoint. If other readers fail because of the damaged file, delete it"
                );
                self.needs_checkpoint = true;
                *table = without;
                return Ok(());
            }
        }
        store.hide_checkpoints(None);
        Err(error)
    }

    /// Loads the latest version; `None` if the table does not exist.
    pub(crate) async fn load(&mut self) -> Result<Option<Snapshot>, TableErrorKind> {
        let Some(table) = self.loaded_table().await? else {
            return Ok(None);
        };
        let mut snapshot = Snapshot::of::<R>(table).await?;
        if let Some(restore) = restored::find(&snapshot, self.unloaded_table()?).await? {
            warn!(
                table = self.at,
                restore = restore.version,
                version = ?restore.restored_version,
                positions = ?restore.positions,
                "the table was restored to an earlier version: the positions are those of its rows again, and what was written since is read from the topic again"
            );
            snapshot.set_restored(restore.positions);
        }
        self.confirmed = Instant::now();
        debug!(table = self.at, version = snapshot.version, "loaded the table");
        Ok(Some(snapshot))
    }

    /// Returns whether the table exists. Two names are looked up, which is cheaper than a listing: the first log entry,
    /// and, for a log whose old entries were cleaned up, `_last_checkpoint`. A table that is created while this process
    /// waits for it has its first entry.
    async fn exists(&mut self, table: &DeltaTable) -> Result<bool, TableErrorKind> {
        let names = ["00000000000000000000.json", "_last_checkpoint"];
        let names = if self.was_absent { &names[..1] } else { &names[..] };
        for name in names {
            match table.object_store().head(&Path::from_iter([LOG, *name])).await {
                Ok(_) => {
                    self.was_absent = false;
                    return Ok(true);
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(TableErrorKind::unavailable("read its log", error)),
            }
        }
        self.was_absent = true;
        Ok(false)
    }

    async fn create(&mut self) -> Result<(), TableErrorKind> {
        let table = self.unloaded_table()?;
        // A log without its first entry remains of a table that was deleted while other processes wrote to it. A new
        // first entry would make it an unreadable table.
        match table.object_store().list(Some(&Path::from(LOG))).next().await {
            None => {}
            Some(Ok(found)) => {
                let reason = format!("{} exists, but not the first entry of its log", found.location);
                return Err(TableErrorKind::corrupt(reason));
            }
            Some(Err(error)) => return Err(TableErrorKind::unavailable("list its log", error)),
        }
        let checkpoint_interval = self.options.checkpoint_every.to_string();
        let commit = CommitProperties::default()
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(false));
        CreateBuilder::new()
            .with_log_store(table.log_store())
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_table_name(R::NAME)
            .with_columns(R::delta_schema())
            .with_partition_columns([EVENT_DATE])
            .with_configuration([
                ("delta.checkpointInterval", Some(checkpoint_interval)),
                // Clean-up after a commit would delete in batches, which OneLake refuses: `table vacuum` cleans up instead.
                ("delta.enableExpiredLogCleanup", Some("false".to_owned())),
                ("delta.dataSkippingStatsColumns", Some(R::STATISTICS.join(","))),
            ])
            .with_commit_properties(commit)
            .await
            .map_err(|error| TableErrorKind::delta("create it", &error))?;
        info!(table = self.at, "created the table");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tables::rows::FailedRow;

    fn handle(options: TableOptions) -> (tempfile::TempDir, Handle<FailedRow>) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
        (folder, Handle::new(location, Arc::new(options)))
    }

    #[tokio::test]
    async fn a_table_is_not_created_on_the_remains_of_a_log() {
        for (name, content) in [
            ("_last_checkpoint", "{\"version\":99}"),
            ("00000000000000000009.json", "{}"),
        ] {
            let (folder, mut handle) = handle(TableOptions::default());
            std::fs::create_dir(folder.path().join(LOG)).unwrap();
            std::fs::write(folder.path().join(LOG).join(name), content).unwrap();
            assert!(handle.last_known_or_create().await.is_err(), "{name}");
            assert_eq!(std::fs::read_dir(folder.path().join(LOG)).unwrap().count(), 1, "{name}");
        }
    }

    #[tokio::test]
    async fn a_table_that_was_replaced_is_noticed() {
        let (folder, mut handle) = handle(TableOptions {
            confirm_every: Duration::ZERO,
            ..TableOptions::default()
        });
        let snapshot = handle.last_known_or_create().await.unwrap();
        handle.keep(snapshot);
        assert!(handle.last_known().await.unwrap().is_some());
        let mut other = Handle::<FailedRow>::new(handle.location.clone(), Arc::clone(&handle.options));
        let snapshot = handle.load().await.unwrap().unwrap();
        handle.keep(snapshot);
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(handle.last_known().await.unwrap().is_none(), "deleted");
        other.last_known_or_create().await.unwrap();
        assert!(handle.last_known().await.unwrap().is_some(), "created again");
    }
}
