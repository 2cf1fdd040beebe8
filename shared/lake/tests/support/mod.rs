//! Rows to append, locations for them, and a storage with faults.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod faulty_store;
mod place;

pub use place::*;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};

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

/// Returns rows without a source: the key alone decides.
pub fn unsourced<R>(rows: impl IntoIterator<Item = R>) -> Vec<Sourced<R>> {
    rows.into_iter().map(|row| Sourced { row, source: None }).collect()
}

/// Returns attachments with these offsets; each key consists of `prefix` and the offset.
pub fn sourced(prefix: &str, offsets: impl IntoIterator<Item = i64>) -> Vec<Sourced<AttachmentRow>> {
    let row = |offset| Sourced {
        row: attachment(&format!("{prefix}-{offset}")),
        source: Some(Source {
            app_id: APP.into(),
            offset,
        }),
    };
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

/// Returns all values of a text column, sorted.
pub async fn texts<R: TableRow>(table: &Table<R>, column: &str) -> Vec<String> {
    let mut texts: Vec<String> = table
        .scan(&[column])
        .await
        .unwrap()
        .iter()
        .flat_map(|batch| strings(batch, column))
        .collect();
    texts.sort();
    texts
}

pub fn strings(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    assert_eq!(column.null_count(), 0);
    column.iter().flatten().map(str::to_owned).collect()
}

pub fn counts(appended: &Appended) -> (usize, usize, usize) {
    (appended.added, appended.skipped_by_offset, appended.skipped_by_key)
}

/// Returns the file names in the table's log.
pub fn log_files(location: &Location) -> Vec<String> {
    let folder = local(location).join("_delta_log");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the number of data files on disk, whether a commit names them or not.
pub fn data_files(location: &Location) -> usize {
    let folder = local(location);
    let dates = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("event_date="));
    dates
        .map(|date| {
            std::fs::read_dir(date.path())
                .unwrap()
                .filter(|file| {
                    file.as_ref()
                        .unwrap()
                        .path()
                        .extension()
                        .is_some_and(|e| e == "parquet")
                })
                .count()
        })
        .sum()
}
