//! Writes checkpoints, and finds those that a table has.

use std::collections::BTreeSet;

use deltalake::DeltaTable;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use futures::StreamExt;
use serde::Deserialize;

use crate::tables::error::TableErrorKind;

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// Returns the version of the last checkpoint, if there is one and `_last_checkpoint` can be read.
pub(crate) async fn read_last(table: &DeltaTable) -> Option<u64> {
    let path = Path::from("_delta_log/_last_checkpoint");
    let hint = table.object_store().get(&path).await.ok()?;
    let hint: LastCheckpoint = serde_json::from_slice(&hint.bytes().await.ok()?).ok()?;
    Some(hint.version)
}

/// Writes a checkpoint of a loaded table.
pub(crate) async fn write(table: &DeltaTable) -> Result<(), TableErrorKind> {
    let written = deltalake::checkpoints::create_checkpoint(table, None).await;
    written.map_err(|error| TableErrorKind::delta("write a checkpoint", &error))
}

/// Returns the versions that have a checkpoint, newest first.
pub(crate) async fn versions(table: &DeltaTable) -> Vec<u64> {
    let log = Path::from("_delta_log");
    let listed: Vec<_> = table.object_store().list(Some(&log)).collect().await;
    let version = |name: &str| match name.split_once('.') {
        Some((version, rest)) if rest.starts_with("checkpoint.") => version.parse().ok(),
        _ => None,
    };
    let names = listed.iter().flatten().filter_map(|file| file.location.filename());
    let versions: BTreeSet<u64> = names.filter_map(version).collect();
    versions.into_iter().rev().collect()
}
