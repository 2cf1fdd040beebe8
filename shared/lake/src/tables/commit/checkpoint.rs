//! Checkpoints: written when enough commits have passed since the last one, not at every hundredth version.
//!
//! With fixed versions, a process that dies between a commit and its checkpoint would leave the table without one for
//! another hundred commits.

use tracing::{debug, warn};

use crate::tables::checkpoints;
use crate::tables::error::TableErrorKind;
use crate::tables::handle::Handle;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;

/// Writes a checkpoint if one is due, and returns the snapshot to continue with. A failure does not fail the commit: it
/// is logged, and tried again after later commits.
pub(super) async fn make_if_due<R: TableRow>(handle: &mut Handle<R>, snapshot: Snapshot) -> Snapshot {
    let version = snapshot.version;
    let interval = u64::from(handle.options.checkpoint_every.max(1));
    let is_needed = handle.needs_checkpoint;
    let is_due = |last: Option<u64>| is_needed || version + 1 >= last.map_or(0, |last| last + 1) + interval;
    if !is_due(handle.checkpoint) {
        return snapshot;
    }
    // Another process may have written it.
    handle.checkpoint = checkpoints::read_last(&snapshot.table).await.or(handle.checkpoint);
    if !is_due(handle.checkpoint) {
        return snapshot;
    }
    match make(handle).await {
        Ok(made) => {
            debug!(table = handle.at, version = made.version, "wrote a checkpoint");
            handle.checkpoint = Some(made.version);
            handle.needs_checkpoint = false;
            made.with_positions_of(snapshot)
        }
        Err(error) => {
            warn!(table = handle.at, version, %error, "could not write a checkpoint; the table is intact, but opening it gets slower until one is written");
            handle.needs_checkpoint = false;
            // As if one had been written some time ago: the next attempt comes after a tenth of the interval.
            handle.checkpoint = Some(version.saturating_sub(interval - interval.div_ceil(10)));
            snapshot
        }
    }
}

/// Writes a checkpoint of what deltalake has loaded itself. Loading it reads mostly from memory: see `log_cache`.
async fn make<R: TableRow>(handle: &mut Handle<R>) -> Result<Snapshot, TableErrorKind> {
    let Some(loaded) = handle.load().await? else {
        return Err(TableErrorKind::unavailable("read its log", "the table does not exist"));
    };
    checkpoints::write(&loaded.table).await?;
    Ok(loaded)
}
