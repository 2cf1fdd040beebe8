//! Rows to append, locations for them, and a storage with faults.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod faulty_store;
mod place;

pub use place::*;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use tempfile::TempDir;

use faulty_store::{Fault, Faults};
use xact_contracts::ids::AppId;
use xact_lake::arrow::array::{Array, AsArray, RecordBatch};
use xact_lake::{Appended, AttachmentRow, FailedRow, Location, Source, Sourced, Table, TableRow};

pub const DAY: Date = date(2024, 12, 31);
pub const APP: &str = "xact-result-processor:xact.downloads.results:0";

pub fn noon() -> Timestamp {
    "2024-12-31T12:00:00.123456Z".parse().unwrap()
}

pub fn attachment(media_id: &str) -> AttachmentRow {
    AttachmentRow {
        media_id: media_id.to_owned(),
        trace_id: Some(format!("trace of {media_id}")),
        attachment_url: Some("https://claimxperience.com/test.pdf".to_owned()),
        blob_path: Some("documentsReceived/A123/t/A123_test.pdf".to_owned()),
        file_type: Some("PDF".to_owned()),
        status_subtype: Some("documentsReceived".to_owned()),
        assignment_id: Some("A123".to_owned()),
        content_type: None,
        declared_content_type: None,
        sha256: Some("ab".repeat(32)),
        bytes_downloaded: Some(5_000_000_000),
        retry_count: Some(0),
        downloaded_at: Some(noon()),
        created_at: noon(),
        event_date: DAY,
    }
}

pub fn failed(media_id: &str, replay_count: i32) -> FailedRow {
    FailedRow {
        media_id: media_id.to_owned(),
        trace_id: Some("t".to_owned()),
        attachment_url: None,
        status_subtype: None,
        assignment_id: None,
        error_category: Some("permanent".to_owned()),
        error_message: Some("404".to_owned()),
        http_status: Some(404),
        retry_count: Some(4),
        replay_count,
        failed_at: None,
        created_at: noon(),
        event_date: DAY,
    }
}

/// Returns an attachment of another date than [`DAY`].
pub fn attachment_of(event_date: Date, media_id: &str) -> AttachmentRow {
    AttachmentRow {
        event_date,
        ..attachment(media_id)
    }
}

/// Returns attachments whose keys consist of `prefix` and a number.
pub fn attachments(prefix: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<AttachmentRow> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| attachment(&format!("{prefix}-{number}")))
        .collect()
}

/// Returns rows without a source: the key alone decides.
pub fn unsourced<R>(rows: impl IntoIterator<Item = R>) -> Vec<Sourced<R>> {
    rows.into_iter().map(|row| Sourced { row, source: None }).collect()
}

/// Returns an attachment that came from this offset.
pub fn sourced_from(app_id: &AppId, offset: i64, media_id: &str) -> Sourced<AttachmentRow> {
    let app_id = app_id.clone();
    Sourced {
        row: attachment(media_id),
        source: Some(Source { app_id, offset }),
    }
}

/// Returns attachments of [`APP`] with these offsets; each key consists of `prefix` and the offset.
pub fn sourced(prefix: &str, offsets: impl IntoIterator<Item = i64>) -> Vec<Sourced<AttachmentRow>> {
    let row = |offset| sourced_from(&APP.into(), offset, &format!("{prefix}-{offset}"));
    offsets.into_iter().map(row).collect()
}

pub fn at(next: i64) -> BTreeMap<AppId, i64> {
    BTreeMap::from([(APP.into(), next)])
}

pub fn none() -> BTreeMap<AppId, i64> {
    BTreeMap::new()
}

pub fn table<R: TableRow>(location: &Location) -> Arc<Table<R>> {
    Arc::new(Table::new(location.clone(), options()))
}

/// Returns a folder, the location of a table in it, and the table, which does not exist yet.
pub fn new_table<R: TableRow>() -> (TempDir, Location, Arc<Table<R>>) {
    let (folder, location) = folder();
    let table = table(&location);
    (folder, location, table)
}

/// Returns another handle of a table, whose storage has these faults.
pub fn faulty(location: &Location, faults: impl IntoIterator<Item = Fault>) -> (Arc<Faults>, Table<AttachmentRow>) {
    let faults = Faults::new(faults);
    let table = Table::new(location.clone(), faults.options());
    (faults, table)
}

/// Rows added, skipped by offset, and skipped by key.
pub type Counts = (usize, usize, usize);

pub fn counts(appended: &Appended) -> Counts {
    (appended.added, appended.skipped_by_offset, appended.skipped_by_key)
}

/// Appends rows without a source.
pub async fn add<R: TableRow>(table: &Table<R>, rows: impl IntoIterator<Item = R>) -> Counts {
    counts(&table.append(unsourced(rows), none()).await.unwrap())
}

/// Appends attachments with these offsets, and moves the position to the end of the range.
pub async fn add_offsets(table: &Table<AttachmentRow>, prefix: &str, offsets: Range<i64>) -> Counts {
    let next = at(offsets.end);
    counts(&table.append(sourced(prefix, offsets), next).await.unwrap())
}

/// Returns ids of [`DAY`], to be removed.
pub fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> BTreeMap<Date, HashSet<Arc<str>>> {
    BTreeMap::from([(DAY, ids.into_iter().map(Arc::from).collect())])
}

/// Returns the position of [`APP`], if the table has one.
pub async fn positions<R: TableRow>(table: &Table<R>) -> BTreeMap<AppId, i64> {
    table.positions(&[APP.into()]).await.unwrap()
}

/// Returns all values of a text column, sorted.
pub async fn texts<R: TableRow>(table: &Table<R>, column: &str) -> Vec<String> {
    let batches = table.scan(&[column]).await.unwrap();
    let mut texts: Vec<String> = batches.iter().flat_map(|batch| strings(batch, column)).collect();
    texts.sort();
    texts
}

pub fn strings(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    assert_eq!(column.null_count(), 0);
    column.iter().flatten().map(str::to_owned).collect()
}

/// Returns the sorted names of what is in a folder.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the table's log folder.
pub fn log(location: &Location) -> PathBuf {
    local(location).join("_delta_log")
}

/// Returns the number of entries in the table's log.
pub fn log_entries(location: &Location) -> usize {
    let names = names_in(&log(location));
    names.iter().filter(|name| name.ends_with(".json")).count()
}

/// Deletes the entries of these versions from the table's log.
pub fn delete_log_entries(location: &Location, versions: Range<u64>) {
    for version in versions {
        std::fs::remove_file(log(location).join(format!("{version:020}.json"))).unwrap();
    }
}

/// Returns the number of data files on disk, whether a commit names them or not.
pub fn data_files(location: &Location) -> usize {
    let folder = local(location);
    let dates = names_in(&folder)
        .into_iter()
        .filter(|name| name.starts_with("event_date="));
    let files = dates.flat_map(|date| names_in(&folder.join(date)));
    files.filter(|name| name.ends_with(".parquet")).count()
}

/// Returns the memory of this process, for benchmarks.
pub fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
