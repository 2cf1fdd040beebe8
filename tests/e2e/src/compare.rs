//! Compares every row and every file with what was sent: nothing is missing, nothing is too much, every column is right.

use crate::rows::{self, Row};
use crate::sent::{Attachment, End, Sent};
use harness::tables::Tables;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Differences that a failure shows.
const SHOWN: usize = 10;

/// The comparison, with what it has found.
struct Comparison<'a> {
    files: &'a Path,
    differences: Vec<String>,
}

/// Compares, and panics with the first differences if there are any.
///
/// `tables` come from `harness::tables::read`, which has refused duplicate keys and wrong schemas already.
///
/// # Panics
/// When anything differs.
pub fn assert_exactly_what_was_sent(sent: &[Sent], tables: &Tables, files: &Path) {
    let mut comparison = Comparison {
        files,
        differences: Vec::new(),
    };
    let mut events = by_key(&tables.events, "event_id");
    let mut completed = by_key(&tables.attachments, "media_id");
    let mut failed = by_key(&tables.failed, "media_id");
    for message in sent {
        comparison.event(message, &mut events);
        for attachment in &message.attachments {
            comparison.attachment(message, attachment, &mut completed, &mut failed);
        }
    }
    for (table, left) in [
        ("events", events),
        ("attachments", completed),
        ("attachments_failed", failed),
    ] {
        for row in left.values() {
            comparison
                .differences
                .push(format!("xact_{table} has a row that nothing was sent for: {row:?}"));
        }
    }
    let differences = comparison.differences;
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{}",
        differences.len(),
        differences[..differences.len().min(SHOWN)].join("\n")
    );
}

impl Comparison<'_> {
    fn event(&mut self, sent: &Sent, rows: &mut BTreeMap<String, Row>) {
        let row = rows.remove(&crate::ids::event_id(&sent.trace_id));
        let expected = rows::event_row(sent);
        let (Some(mut row), Some(expected)) = (row.clone(), expected.clone()) else {
            if row.is_some() != expected.is_some() {
                self.differences
                    .push(format!("event {}: row {row:?}, expected {expected:?}", sent.trace_id));
            }
            return;
        };
        // As JSON: the text may be spelled otherwise.
        let raw: Option<Value> = row["raw_json"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        row.insert("raw_json".into(), raw.unwrap_or_default());
        self.columns(&sent.trace_id, row, expected, rows::EVENT_CLOCK);
    }

    fn attachment(
        &mut self,
        sent: &Sent,
        attachment: &Attachment,
        completed: &mut BTreeMap<String, Row>,
        failed: &mut BTreeMap<String, Row>,
    ) {
        let done = completed.remove(&attachment.media_id);
        let gone = failed.remove(&attachment.media_id);
        let url = crate::sent::without_query(&attachment.url);
        match (&attachment.end, done, gone) {
            (End::File { retried, .. }, Some(row), None) => {
                let attempts = row["retry_count"].as_i64().unwrap_or(-1);
                // A server that was restarted fails its first download once more.
                if !(if *retried { 1..=2 } else { 0..=0 }).contains(&attempts) {
                    self.differences.push(format!("{url}: retry_count is {attempts}"));
                }
                self.file(url, &row);
                match rows::attachment_row(sent, attachment) {
                    Some(expected) => self.columns(url, row, expected, rows::ATTACHMENT_CLOCK),
                    None => self
                        .differences
                        .push(format!("{url}: nobody says what is served there")),
                }
            }
            (End::Failed { message, .. }, None, Some(row)) => {
                if !row["error_message"].as_str().is_some_and(|text| text.contains(message)) {
                    self.differences
                        .push(format!("{url}: error_message is {}", row["error_message"]));
                }
                if let Some(expected) = rows::failed_row(sent, attachment) {
                    self.columns(url, row, expected, rows::FAILED_CLOCK);
                }
            }
            (end, done, gone) => {
                self.differences
                    .push(format!("{url} must end as {end:?}; row {done:?}, failed row {gone:?}"));
            }
        }
    }

    /// The file is where the row says, and is what the row says.
    fn file(&mut self, url: &str, row: &Row) {
        let path = row["blob_path"].as_str().unwrap_or_default();
        let bytes = match fs::read(self.files.join(path)) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.differences.push(format!("{url}: {path}: {error}"));
                return;
            }
        };
        let sha256 = hex::encode(Sha256::digest(&bytes));
        if row["bytes_downloaded"] != bytes.len() || row["sha256"] != sha256 {
            let size = bytes.len();
            self.differences.push(format!(
                "{url}: the file has {size} bytes and hashes to {sha256}, its row is {row:?}"
            ));
        }
    }

    /// Every column is as expected; those of the clock are there, and in order.
    fn columns(&mut self, what: &str, mut row: Row, expected: Row, clock: &[&str]) {
        let mut before = String::new();
        for column in clock {
            let value = row.remove(*column).unwrap_or_default();
            if !column.ends_with("_at") {
                continue;
            }
            let text = value.as_str().unwrap_or_default().to_owned();
            // RFC 3339 in UTC with microseconds sorts as text.
            if text.len() != "2024-12-31T12:00:00.000000Z".len() || text < before {
                self.differences
                    .push(format!("{what}: {column} is {value}, after {before:?}"));
            }
            before = text;
        }
        for (column, expected) in &expected {
            let found = row.remove(column);
            if found.as_ref() != Some(expected) {
                self.differences
                    .push(format!("{what}: {column} is {found:?}, expected {expected}"));
            }
        }
        for (column, value) in row {
            self.differences
                .push(format!("{what}: {column} is {value}, which nothing here expects"));
        }
    }
}

fn by_key(rows: &[Value], key: &str) -> BTreeMap<String, Row> {
    rows.iter()
        .filter_map(|row| Some((row[key].as_str()?.to_owned(), row.as_object()?.clone())))
        .collect()
}
