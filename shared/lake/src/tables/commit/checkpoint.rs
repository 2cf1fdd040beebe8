//! Checkpoints: made when enough commits have passed since the last one, not when a version number is round.
//!
//! A process that dies between a commit and its checkpoint would otherwise leave the table without one for another
//! hundred commits.

use tracing::{debug, warn};

use crate::tables::checkpoints;
use crate::tables::error::TableError;
use crate::tables::handle::Handle;
use crate::tables::options::TableOptions;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;

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
    handle.checkpoint = checkpoints::read_last(&snapshot.table).await.or(handle.checkpoint);
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
