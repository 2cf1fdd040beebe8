//! Entries of a table's log, as files: read, parsed, and what each says of itself.

use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::logstore::object_store::path::Path;
use serde::Deserialize;

use crate::tables::error::TableError;

/// Names the commit in its own `commitInfo`, so that it can be recognised in the log.
pub(crate) const COMMIT_ID: &str = "xactCommitId";

/// The log entry of a version; `None` if there is none.
pub(crate) async fn read_entry(table: &DeltaTable, version: u64, at: &str) -> Result<Option<Bytes>, TableError> {
    let entry = table.log_store().read_commit_entry(version).await;
    entry.map_err(|error| TableError::delta(at, "read the log of", &error))
}

/// `None` if it holds something that is not known here; loading the table says what.
pub(crate) fn parse(entry: &[u8]) -> Option<Vec<Action>> {
    let lines = entry.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// A path in the log, decoded, as the object store names it.
pub(crate) fn file_path(decoded: &str) -> Path {
    Path::parse(decoded).unwrap_or_else(|_| Path::from(decoded))
}

/// What a log entry says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CommitInfo {
    /// One of this product's own commits: [`COMMIT_ID`].
    pub(crate) xact_commit_id: Option<String>,
    operation: Option<String>,
    pub(crate) in_commit_timestamp: Option<i64>,
}

impl CommitInfo {
    /// Whether it took the table back to an earlier version. All programs call it so.
    pub(crate) fn is_restore(&self) -> bool {
        self.operation.as_deref() == Some("RESTORE")
    }
}

/// The `commitInfo` of a log entry, if it has one.
pub(crate) fn commit_info(entry: &[u8]) -> Option<CommitInfo> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct LogLine {
        commit_info: Option<CommitInfo>,
    }
    let lines = entry.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice::<LogLine>(line).ok()?.commit_info)
        .next()
}
