//! Log entries: a table's log is a folder of files `{version}.json`, each of which is one commit.

use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::logstore::object_store::path::Path;
use serde::Deserialize;

use crate::tables::error::TableErrorKind;

/// The field of a `commitInfo` in which this product's commits carry their id.
pub(crate) const COMMIT_ID: &str = "xactCommitId";

/// What a log entry says about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CommitInfo {
    /// [`COMMIT_ID`]; only this product's own commits have one.
    pub(crate) xact_commit_id: Option<String>,
    operation: Option<String>,
    pub(crate) in_commit_timestamp: Option<i64>,
}

impl CommitInfo {
    /// Returns whether the commit restored the table to an earlier version. All programs use this name.
    pub(crate) fn is_restore(&self) -> bool {
        self.operation.as_deref() == Some("RESTORE")
    }
}

/// Reads the log entry of a version; `None` if there is none.
pub(crate) async fn read(table: &DeltaTable, version: u64) -> Result<Option<Bytes>, TableErrorKind> {
    let entry = table.log_store().read_commit_entry(version).await;
    entry.map_err(|error| TableErrorKind::delta("read its log", &error))
}

/// Returns the actions of a log entry; `None` if it has one that is not known here. Loading the table then gives the
/// reason.
pub(crate) fn parse(entry: &[u8]) -> Option<Vec<Action>> {
    lines(entry).map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Returns the `commitInfo` of a log entry, if it has one.
pub(crate) fn commit_info(entry: &[u8]) -> Option<CommitInfo> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct LogLine {
        commit_info: Option<CommitInfo>,
    }
    lines(entry).find_map(|line| serde_json::from_slice::<LogLine>(line).ok()?.commit_info)
}

fn lines(entry: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = entry.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// Returns a path in the log, which is decoded, as the object store names it.
pub(crate) fn file_path(decoded: &str) -> Path {
    Path::parse(decoded).unwrap_or_else(|_| Path::from(decoded))
}
