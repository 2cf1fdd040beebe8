//! A result processor on local tables, results for it, and the rows of the tables.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

#[path = "../../../../shared/lake/tests/support/faulty_store.rs"]
pub mod faulty_store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use faulty_store::Faults;
use result_processor::ResultProcessor;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{DownloadResult, Message, SourceRecord};
use xact_lake::arrow::array::AsArray;
use xact_lake::{AttachmentRow, FailedRow, Location, Table, TableOptions, TableRow};
use xact_runtime::{Batch, BatchHandler, Context, Delivered, Unavailable};
use xact_table_sink::TableSink;

/// The options that a faulty store extends.
pub fn options() -> TableOptions {
    TableOptions::default()
}

pub const APP: &str = "xact-result-processor:xact.downloads.results:0";
const TOPIC: &str = "xact.downloads.results";

pub struct Bench {
    folder: tempfile::TempDir,
    pub processor: ResultProcessor,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let processor = open(folder.path(), &options());
        Self { folder, processor }
    }

    /// Another process with the same tables.
    pub fn another(&self) -> ResultProcessor {
        open(self.folder.path(), &options())
    }

    /// Another process with the same tables, whose storage has faults.
    pub fn faulty(&self, faults: &Arc<Faults>) -> ResultProcessor {
        open(self.folder.path(), &faults.options())
    }

    /// Copies a table.
    pub fn backup(&self, table: &str) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.folder.path().join(table), copy.path());
        copy
    }

    /// Restores a table from a copy.
    pub fn restore(&self, table: &str, backup: &tempfile::TempDir) {
        let table = self.folder.path().join(table);
        std::fs::remove_dir_all(&table).unwrap();
        copy_folder(backup.path(), &table);
    }

    /// Returns the number of commits of a table.
    pub fn commits(&self, table: &str) -> usize {
        let log = std::fs::read_dir(self.folder.path().join(table).join("_delta_log"));
        let is_entry = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "json");
        log.into_iter().flatten().flatten().filter(is_entry).count()
    }

    /// Processes results with offsets from `first`.
    pub async fn handle(&self, first: i64, results: &[DownloadResult]) {
        handle(&self.processor, first, results).await.unwrap();
    }

    /// Returns the sorted media ids of the rows of both tables: attachments, failures.
    pub async fn media(&self) -> [Vec<String>; 2] {
        let (folder, options) = (self.folder.path(), options());
        [
            media(&table::<AttachmentRow>(folder, &options)).await,
            media(&table::<FailedRow>(folder, &options)).await,
        ]
    }

    /// Returns the number of rows of both tables.
    pub async fn counts(&self) -> (usize, usize) {
        let [attachments, failed] = self.media().await;
        (attachments.len(), failed.len())
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn table<R: TableRow>(folder: &Path, options: &TableOptions) -> Table<R> {
    let path = folder.join(R::NAME);
    Table::new(Location::parse(path.to_str().unwrap()).unwrap(), options.clone())
}

fn open(folder: &Path, options: &TableOptions) -> ResultProcessor {
    let (attachments, failed) = (table(folder, options), table(folder, options));
    ResultProcessor::with_tables(TableSink::of(attachments), TableSink::of(failed))
}

async fn media<R: TableRow>(table: &Table<R>) -> Vec<String> {
    let batches = table.scan(&["media_id"]).await.unwrap();
    let columns = batches.iter().map(|batch| batch.column(0).as_string::<i32>());
    let mut media: Vec<String> = columns
        .flat_map(|ids| ids.iter().flatten().map(str::to_owned))
        .collect();
    media.sort();
    media
}

/// Returns the sorted media ids of attachments.
pub fn media_ids(names: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = names.iter().map(|name| media_id(name)).collect();
    ids.sort();
    ids
}

/// Processes results of partition 0 with offsets from `first`.
pub async fn handle(processor: &ResultProcessor, first: i64, results: &[DownloadResult]) -> Result<(), Unavailable> {
    handle_of(0, processor, first, results).await
}

/// Processes results of a partition with offsets from `first`.
pub async fn handle_of(
    partition: i32,
    processor: &ResultProcessor,
    first: i64,
    results: &[DownloadResult],
) -> Result<(), Unavailable> {
    let app_id = AppId::new("xact-result-processor", TOPIC, partition);
    let source = |offset| SourceRecord {
        topic: TOPIC.to_owned(),
        partition,
        offset,
        timestamp: None,
    };
    let record = |(offset, input): (i64, &DownloadResult)| Delivered {
        input: input.clone(),
        source: source(offset),
        record_timestamp: None,
        app_id: Some(app_id.clone()),
    };
    let records: Vec<_> = (first..).zip(results).map(record).collect();
    let next = first + i64::try_from(results.len()).unwrap();
    let batch = Batch {
        records: records.iter().collect(),
        positions: BTreeMap::from([(app_id, next)]),
    };
    let context = Context {
        now: "2025-01-01T00:00:10Z".parse().unwrap(),
        record_timestamp: None,
    };
    let refused = processor.handle(&batch, &context).await?;
    assert!(refused.is_empty());
    Ok(())
}

pub fn media_id(name: &str) -> String {
    xact_contracts::ids::media_id("t", name).to_string()
}

pub fn completed(name: &str) -> DownloadResult {
    result(name, "completed", 0)
}

pub fn failed(name: &str) -> DownloadResult {
    result(name, "failed_permanent", 0)
}

pub fn result(name: &str, status: &str, replay_count: u32) -> DownloadResult {
    let text = json!({"trace_id": "t", "media_id": media_id(name), "attachment_url": "https://h/a.pdf?sig=S",
        "blob_path": "p", "status_subtype": "s", "file_type": "PDF", "assignment_id": "a", "status": status, "bytes_downloaded": 5,
        "replay_count": replay_count, "original_timestamp": "2024-12-31T12:00:00Z", "created_at": "2025-01-01T00:00:00Z"});
    DownloadResult::decode(text.to_string().as_bytes()).unwrap()
}
