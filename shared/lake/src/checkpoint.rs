//! Checkpoints: made when enough commits have passed since the last one, not when a version number is round.
//!
//! A process that dies between a commit and its checkpoint would otherwise leave the table without one for another
//! hundred commits.

use deltalake::DeltaTable;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use serde::Deserialize;
use tracing::{debug, warn};

use crate::TableOptions;
use crate::handle::Handle;

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// Makes a checkpoint if one is due. Its failure is no failure of the append: it is logged, and tried again after later commits.
pub(crate) async fn make_if_due(handle: &mut Handle, table: &DeltaTable, options: &TableOptions) {
    let Some(version) = table.version() else {
        return;
    };
    let interval = u64::from(options.checkpoint_every.max(1));
    let due = |last: Option<u64>| version + 1 >= last.map_or(0, |last| last + 1) + interval;
    if !due(handle.checkpoint) {
        return;
    }
    // Another process may have made it.
    handle.checkpoint = read_last(table).await.or(handle.checkpoint);
    if !due(handle.checkpoint) {
        return;
    }
    match deltalake::checkpoints::create_checkpoint(table, None).await {
        Ok(()) => {
            debug!(table = handle.at, version, "made a checkpoint");
            handle.checkpoint = Some(version);
        }
        Err(error) => {
            warn!(table = handle.at, version, %error, "could not make a checkpoint; the table is whole, reading it gets slower until one succeeds");
            // As if made a while ago: the next try comes after a tenth of the interval.
            handle.checkpoint = Some(version.saturating_sub(interval - interval.div_ceil(10)));
        }
    }
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
