//! Checkpoints: made when enough commits have passed since the last one, not when a version number is round.
//!
//! A process that dies between a commit and its checkpoint would otherwise leave the table without one for another
//! hundred commits.

use std::collections::BTreeSet;

use deltalake::DeltaTable;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use futures::StreamExt;
use serde::Deserialize;
use tracing::{debug, warn};

use crate::handle::Handle;
use crate::snapshot::Snapshot;
use crate::{TableError, TableOptions, TableRow};

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// Makes a checkpoint if one is due, and returns the state to go on with. Its failure does not fail the append: it is
/// logged, and tried again after later commits.
pub(crate) async fn make_if_due<R: TableRow>(
    handle: &mut Handle,
    snapshot: Snapshot,
    options: &TableOptions,
) -> Snapshot {
    let version = snapshot.version;
    let interval = u64::from(options.checkpoint_every.max(1));
    let needed = handle.needs_checkpoint;
    let due = |last: Option<u64>| needed || version + 1 >= last.map_or(0, |last| last + 1) + interval;
    if !due(handle.checkpoint) {
        return snapshot;
    }
    // Another process may have made it.
    handle.checkpoint = read_last(&snapshot.table).await.or(handle.checkpoint);
    if !due(handle.checkpoint) {
        return snapshot;
    }
    match make::<R>(handle, options).await {
        Ok(made) => {
            debug!(table = handle.at, version = made.version, "made a checkpoint");
            handle.checkpoint = Some(made.version);
            handle.needs_checkpoint = false;
            made.with_positions_of(snapshot)
        }
        Err(error) => {
            warn!(table = handle.at, version, %error, "could not make a checkpoint; the table is intact, reading it gets slower until one succeeds");
            handle.needs_checkpoint = false;
            // As if made a while ago: the next try comes after a tenth of the interval.
            handle.checkpoint = Some(version.saturating_sub(interval - interval.div_ceil(10)));
            snapshot
        }
    }
}

/// deltalake writes a checkpoint of what it has loaded itself. Loading it is mostly from memory: see `log_cache`.
async fn make<R: TableRow>(handle: &mut Handle, options: &TableOptions) -> Result<Snapshot, TableError> {
    let Some(loaded) = handle.load::<R>(options).await? else {
        return Err(TableError::unavailable(
            &handle.at,
            "read the log of",
            "the table is not there",
        ));
    };
    deltalake::checkpoints::create_checkpoint(&loaded.table, None)
        .await
        .map_err(|error| TableError::delta(&handle.at, "write a checkpoint of", &error))?;
    Ok(loaded)
}

/// Version of the last checkpoint, if there is one that can be read.
pub(crate) async fn read_last(table: &DeltaTable) -> Option<u64> {
    let hint = table
        .object_store()
        .get(&Path::from("_delta_log/_last_checkpoint"))
        .await
        .ok()?;
    let hint: LastCheckpoint = serde_json::from_slice(&hint.bytes().await.ok()?).ok()?;
    Some(hint.version)
}

/// The versions that have a checkpoint, the newest first.
pub(crate) async fn versions(table: &DeltaTable) -> Vec<u64> {
    let listed: Vec<_> = table
        .object_store()
        .list(Some(&Path::from("_delta_log")))
        .collect()
        .await;
    let version = |name: &str| match name.split_once('.') {
        Some((version, rest)) if rest.starts_with("checkpoint.") => version.parse().ok(),
        _ => None,
    };
    let names = listed.iter().flatten().filter_map(|file| file.location.filename());
    let versions: BTreeSet<u64> = names.filter_map(version).collect();
    versions.into_iter().rev().collect()
}
