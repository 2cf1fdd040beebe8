//! Finds out that somebody took the table back to an earlier version (`RESTORE`), and how far each source was written then.
//!
//! A restore brings back the files of an earlier version, but `txn` actions have no way back: the latest state would say
//! that records are written whose rows are gone. So the log is looked through from its end to this product's own last
//! commit. A restore above that one has not been answered yet: the positions that hold are those of a version before it
//! that has the very files that the restore left. The next own commit writes them down, so whoever looks later finds that
//! commit first, and the log is never looked through further than to there.
//!
//! Which version that is, is told by the files and not by the restore's parameters: a time among them may be in any zone,
//! and a version that was itself restored would bring its own question.
//!
//! It is not noticed once the restore's own log entry was cleaned away before this product wrote to the table again, or if
//! the rows were taken back by something that does not call itself a restore.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::logstore::object_store::path::Path;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tracing::{debug, warn};

use crate::tables::error::TableError;
use crate::tables::log_entry::{self, CommitInfo, commit_info, file_path};
use crate::tables::snapshot::Snapshot;
use xact_contracts::ids::AppId;

/// Log entries that are asked for at the same time, at most.
const ENTRIES_AT_ONCE: usize = 8;
/// Log entries that are looked through for a restore, at most: others may have written without this product for long.
const MAX_ENTRIES: u64 = 1000;

struct Entry {
    version: u64,
    info: CommitInfo,
    actions: Vec<Action>,
}

/// The log's entries from a version down to the first one that is not there or cannot be read.
fn down_from<'a>(table: &'a DeltaTable, version: u64, at: &'a str) -> BoxStream<'a, Result<Entry, TableError>> {
    let entry = move |version: u64| async move {
        let entry = log_entry::read_entry(table, version, at).await?;
        Ok(entry.and_then(|entry| {
            Some(Entry {
                version,
                info: commit_info(&entry).unwrap_or_default(),
                actions: log_entry::parse(&entry)?,
            })
        }))
    };
    // The newest one is mostly all that is needed: it is asked for alone.
    let newest = stream::once(entry(version));
    let others = stream::iter((0..version).rev()).map(entry).buffered(ENTRIES_AT_ONCE);
    let entries = newest.chain(others).map(Result::transpose);
    entries
        .take_while(|entry| std::future::ready(entry.is_some()))
        .filter_map(std::future::ready)
        .boxed()
}

/// Looks for a restore that has not been answered; `unloaded` is the same table without its state.
pub(crate) async fn notice(snapshot: &mut Snapshot, unloaded: DeltaTable) -> Result<(), TableError> {
    let Some(restore) = newest_restore(snapshot, snapshot.version).await? else {
        return Ok(());
    };
    let (version, app_ids) = version_behind(snapshot, restore).await?;
    let positions = positions_at(snapshot, unloaded, version, &app_ids).await;
    warn!(
        table = snapshot.at,
        restore,
        ?version,
        ?positions,
        "the table was restored to an earlier version: the positions are those of its rows again, and what was written since is read from the topic again"
    );
    snapshot.set_restored(positions);
    Ok(())
}

/// The newest restore at or below a version, unless an own commit stands above it.
async fn newest_restore(snapshot: &Snapshot, from: u64) -> Result<Option<u64>, TableError> {
    let mut entries = down_from(&snapshot.table, from, &snapshot.at);
    while let Some(entry) = entries.next().await.transpose()? {
        if entry.info.is_restore() {
            return Ok(Some(entry.version));
        }
        if entry.info.xact_commit_id.is_some() {
            return Ok(None);
        }
        if from - entry.version >= MAX_ENTRIES {
            debug!(
                table = snapshot.at,
                from, "others have written much since this product did; not looked further for a restore"
            );
            return Ok(None);
        }
    }
    Ok(None)
}

/// The version whose positions fit the rows that a restore left, and the sources that were written since. `None`: the log
/// no longer tells.
async fn version_behind(snapshot: &Snapshot, restore: u64) -> Result<(Option<u64>, BTreeSet<AppId>), TableError> {
    let mut restore = restore;
    let mut files: HashSet<Path> = snapshot.paths().cloned().collect();
    let mut restored = None;
    let mut app_ids = BTreeSet::new();
    let mut entries = down_from(&snapshot.table, snapshot.version, &snapshot.at);
    while let Some(entry) = entries.next().await.transpose()? {
        // `files` are those of this entry's version.
        if entry.version == restore {
            restored = Some(files.clone());
        } else if restored.as_ref() == Some(&files) {
            match newest_restore(snapshot, entry.version).await? {
                // It has these files by a restore of its own, which was not answered either.
                Some(earlier) if earlier == entry.version => restored = Some(files.clone()),
                Some(earlier) => (restore, restored) = (earlier, None),
                None => return Ok((Some(entry.version), app_ids)),
            }
        }
        undo(&entry.actions, &mut files, &mut app_ids);
    }
    Ok((None, app_ids))
}

/// From the files of a version to those of the one before. Adds first: a commit may replace a file's own entry.
fn undo(actions: &[Action], files: &mut HashSet<Path>, app_ids: &mut BTreeSet<AppId>) {
    for action in actions {
        match action {
            Action::Add(add) => {
                files.remove(&file_path(&add.path));
            }
            Action::Txn(txn) => {
                app_ids.insert(txn.app_id.as_str().into());
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

/// The positions of the sources at a version. What cannot be told is the beginning: records that are read in vain are
/// known by their rows' keys, and records that are not read are lost.
async fn positions_at(
    snapshot: &Snapshot,
    mut unloaded: DeltaTable,
    version: Option<u64>,
    app_ids: &BTreeSet<AppId>,
) -> BTreeMap<AppId, i64> {
    let mut positions: BTreeMap<AppId, i64> = app_ids.iter().map(|app_id| (app_id.clone(), 0)).collect();
    let Some(version) = version else {
        return positions;
    };
    let read = async {
        unloaded.load_version(version).await?;
        let (loaded, log) = (unloaded.snapshot()?, unloaded.log_store());
        for (app_id, position) in &mut positions {
            *position = loaded.transaction_version(&log, app_id).await?.unwrap_or(0);
        }
        Ok::<(), deltalake::DeltaTableError>(())
    };
    if let Err(error) = read.await {
        warn!(table = snapshot.at, version, %error, "the positions before the restore cannot be read");
    }
    positions
}
