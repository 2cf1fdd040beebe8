//! Detects that a table was restored to an earlier version (`RESTORE`), and finds the positions of its rows.
//!
//! A restore brings back the data files of an earlier version, but not its `txn` actions: the latest state would claim
//! that records are written whose rows are gone. So the log is searched from its end back to this product's own last
//! commit. For a restore that is found there, the right positions are those of a version before it that has exactly the
//! data files that the restore left. The next commit of this product writes these positions. Later searches find that
//! commit first, so the log is never searched further back than to it.
//!
//! The version is identified by its data files and not by the parameters of the restore: a time among those may be in any
//! time zone, and a version that was itself restored would raise the same question again.
//!
//! Two cases are not detected: the log entry of the restore was cleaned up before this product wrote to the table again,
//! and rows that were taken back by an operation that is not a restore by name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::logstore::object_store::path::Path;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use tracing::warn;

use crate::tables::error::TableErrorKind;
use crate::tables::log_entry::{self, CommitInfo, file_path};
use crate::tables::snapshot::Snapshot;
use xact_contracts::ids::AppId;

/// Most log entries that are requested at the same time.
const MAX_ENTRIES_AT_ONCE: usize = 8;
/// Most log entries that are searched for a restore: other programs may have written for a long time without this product.
const MAX_ENTRIES_SEARCHED: u64 = 1000;

/// A restore that this product has not yet reacted to.
pub(crate) struct Restore {
    /// The version of the restore's own commit.
    pub(crate) version: u64,
    /// The version that the rows are of; `None` if the log does not reach back to it.
    pub(crate) restored_version: Option<u64>,
    /// The positions of the sources at that version.
    pub(crate) positions: BTreeMap<AppId, i64>,
}

struct Entry {
    version: u64,
    info: CommitInfo,
    actions: Vec<Action>,
}

/// Returns the log entries from a version down to the first one that does not exist or cannot be parsed.
fn entries_down_from(table: &DeltaTable, version: u64) -> BoxStream<'_, Result<Entry, TableErrorKind>> {
    let entry = move |version: u64| async move {
        let Some(entry) = log_entry::read(table, version).await? else {
            return Ok(None);
        };
        let info = log_entry::commit_info(&entry).unwrap_or_default();
        let actions = log_entry::parse(&entry);
        Ok(actions.map(|actions| Entry { version, info, actions }))
    };
    // The newest one is usually enough, so it is requested alone.
    let newest = stream::once(entry(version));
    let others = stream::iter((0..version).rev()).map(entry);
    let entries = newest.chain(others.buffered(MAX_ENTRIES_AT_ONCE));
    let entries = entries.map(Result::transpose);
    entries
        .take_while(|entry| ready(entry.is_some()))
        .filter_map(ready)
        .boxed()
}

/// Searches for a restore that this product has not reacted to. `unloaded` is the same table without its state.
pub(crate) async fn find(snapshot: &Snapshot, unloaded: DeltaTable) -> Result<Option<Restore>, TableErrorKind> {
    let Some(version) = newest_restore(snapshot, snapshot.version).await? else {
        return Ok(None);
    };
    let (restored_version, app_ids) = restored_version(snapshot, version).await?;
    Ok(Some(Restore {
        version,
        restored_version,
        positions: positions_at(unloaded, restored_version, app_ids).await,
    }))
}

/// Returns the newest restore at or below a version, unless a commit of this product follows it.
async fn newest_restore(snapshot: &Snapshot, from: u64) -> Result<Option<u64>, TableErrorKind> {
    let mut entries = entries_down_from(&snapshot.table, from);
    while let Some(entry) = entries.next().await.transpose()? {
        if entry.info.is_restore() {
            return Ok(Some(entry.version));
        }
        let is_own = entry.info.xact_commit_id.is_some();
        if is_own || from - entry.version >= MAX_ENTRIES_SEARCHED {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Returns the version whose positions fit the rows that a restore left, and the sources that were written since. `None`:
/// the log does not reach back to it.
async fn restored_version(snapshot: &Snapshot, restore: u64) -> Result<(Option<u64>, BTreeSet<AppId>), TableErrorKind> {
    let mut restore = restore;
    let mut files: HashSet<Path> = snapshot.paths().cloned().collect();
    let mut restored_files = None;
    let mut app_ids = BTreeSet::new();
    let mut entries = entries_down_from(&snapshot.table, snapshot.version);
    while let Some(entry) = entries.next().await.transpose()? {
        // `files` are those of this entry's version.
        if entry.version == restore {
            restored_files = Some(files.clone());
        } else if restored_files.as_ref() == Some(&files) {
            match newest_restore(snapshot, entry.version).await? {
                // It has these files because of a restore of its own, which was not reacted to either.
                Some(earlier) if earlier == entry.version => restored_files = Some(files.clone()),
                Some(earlier) => (restore, restored_files) = (earlier, None),
                None => return Ok((Some(entry.version), app_ids)),
            }
        }
        undo(&entry.actions, &mut files, &mut app_ids);
    }
    Ok((None, app_ids))
}

/// Turns the files of a version into those of the version before. Adds first: a commit may replace a file's own entry.
fn undo(actions: &[Action], files: &mut HashSet<Path>, app_ids: &mut BTreeSet<AppId>) {
    for action in actions {
        match action {
            Action::Add(add) => {
                files.remove(&file_path(&add.path));
            }
            Action::Txn(txn) => {
                app_ids.insert(AppId::from(txn.app_id.as_str()));
            }
            _ => {}
        }
    }
    for action in actions {
        if let Action::Remove(remove) = action {
            files.insert(file_path(&remove.path));
        }
    }
}

/// Returns the positions of the sources at a version. A position that cannot be read is 0: records that are read again
/// are recognised by the keys of their rows, and records that are not read again are lost.
async fn positions_at(
    mut unloaded: DeltaTable,
    version: Option<u64>,
    app_ids: BTreeSet<AppId>,
) -> BTreeMap<AppId, i64> {
    let mut positions: BTreeMap<AppId, i64> = app_ids.into_iter().map(|app_id| (app_id, 0)).collect();
    let Some(version) = version else {
        return positions;
    };
    let read = async {
        unloaded.load_version(version).await?;
        let (loaded, log) = (unloaded.snapshot()?, unloaded.log_store());
        for (app_id, position) in &mut positions {
            *position = loaded.transaction_version(&log, app_id.as_str()).await?.unwrap_or(0);
        }
        Ok::<(), deltalake::DeltaTableError>(())
    };
    if let Err(error) = read.await {
        let table = unloaded.table_url();
        warn!(%table, version, %error, "the positions before the restore cannot be read; the topic is read again from its beginning");
    }
    positions
}
