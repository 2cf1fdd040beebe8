//! Compares every row and every file with what was sent: nothing is missing, nothing is too much, every column is right.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::rows::{self, Row};
use crate::sent::{Attachment, End, Sent};
use crate::tables::Tables;

/// Differences that a failure shows.
const SHOWN: usize = 10;

/// The comparison, with what it has found.
struct Comparison<'a> {
    files: &'a Path,
    differences: Vec<String>,
}

/// Compares, and panics with the first differences if there are any.
///
/// `tables` come from `crate::tables::read`, which has refused duplicate keys and wrong schemas already.
///
/// # Panics
/// When anything differs.
pub fn assert_exactly_what_was_sent(sent: &[Sent], tables: &Tables, files: &Path) {
    let differences = differences(sent, tables, files);
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{}",
        differences.len(),
        differences[..differences.len().min(SHOWN)].join("\n")
    );
}

/// All that differs, in words.
fn differences(sent: &[Sent], tables: &Tables, files: &Path) -> Vec<String> {
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
            let text = format!("xact_{table} has a row that nothing was sent for: {row:?}");
            comparison.differences.push(text);
        }
    }
    comparison.differences
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
        self.columns(&sent.trace_id, row, &expected, rows::EVENT_CLOCK);
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
                    Some(expected) => self.columns(url, row, &expected, rows::ATTACHMENT_CLOCK),
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
                    self.columns(url, row, &expected, rows::FAILED_CLOCK);
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
    fn columns(&mut self, what: &str, mut row: Row, expected: &Row, clock: &[&str]) {
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
        for (column, expected) in expected {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::sent::Content;
    use crate::{Result, WorkDir};

    const FILE: &str = "documentsReceived/A1/t/A1_a.pdf";

    /// One event with a file and a failure, the right tables, and the file in `dir`.
    fn well(dir: &WorkDir) -> (Vec<Sent>, Tables) {
        let urls = [
            "https://claimxperience.com/ok/5/x/a.PDF?X-Amz-Signature=s",
            "https://claimxperience.com/missing/5/x/b.pdf",
        ];
        let event = crate::events::event("t", &json!(urls));
        let mut sent = Sent::read("t", &event);
        if let End::File { content, .. } = &mut sent.attachments[0].end {
            let sha256 = hex::encode(Sha256::digest(b"bytes"));
            *content = Some(Content { bytes: 5, sha256 });
        }
        let now = "2025-01-01T00:00:00.000000Z";
        let with = |row: Option<Row>, columns: Value| {
            let mut row = row.unwrap();
            row.extend(columns.as_object().unwrap().clone());
            vec![Value::Object(row)]
        };
        let mut events = with(rows::event_row(&sent), json!({"ingested_at": now}));
        events[0]["raw_json"] = sent.text_without_queries().into();
        let clock = json!({"downloaded_at": now, "created_at": now, "retry_count": 0});
        let attachments = with(rows::attachment_row(&sent, &sent.attachments[0]), clock);
        let clock = json!({"failed_at": now, "created_at": now, "error_message": "404 Not Found"});
        let failed = with(rows::failed_row(&sent, &sent.attachments[1]), clock);
        let path = dir.join(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "bytes").unwrap();
        let tables = Tables {
            events,
            attachments,
            failed,
        };
        (vec![sent], tables)
    }

    #[test]
    fn what_is_right_has_no_difference() -> Result<()> {
        let dir = WorkDir::new("compare")?;
        let (sent, tables) = well(&dir);
        assert_eq!(differences(&sent, &tables, dir.path()), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn every_kind_of_damage_is_a_difference() -> Result<()> {
        type Damage = fn(&mut Tables, &WorkDir);
        let damages: [(&str, Damage); 11] = [
            ("an event is lost", |tables, _| tables.events.clear()),
            ("a file's row is lost", |tables, _| tables.attachments.clear()),
            ("a failure is lost", |tables, _| tables.failed.clear()),
            ("a file counts as failed as well", |tables, _| {
                let mut row = tables.failed[0].clone();
                row["media_id"] = tables.attachments[0]["media_id"].clone();
                tables.failed.push(row);
            }),
            ("a row of nothing", |tables, _| {
                let mut row = tables.events[0].clone();
                row["event_id"] = "another".into();
                tables.events.push(row);
            }),
            ("a column is wrong", |tables, _| {
                tables.events[0]["source_system"] = Value::Null;
            }),
            ("a column is new", |tables, _| tables.attachments[0]["new"] = 1.into()),
            ("a clock runs backwards", |tables, _| {
                tables.failed[0]["failed_at"] = "2025-01-02T00:00:00.000000Z".into();
            }),
            ("it was retried for nothing", |tables, _| {
                tables.attachments[0]["retry_count"] = 1.into();
            }),
            ("the file is gone", |_, dir| fs::remove_file(dir.join(FILE)).unwrap()),
            ("the file is damaged", |_, dir| {
                fs::write(dir.join(FILE), "bytex").unwrap();
            }),
        ];
        for (what, damage) in damages {
            let dir = WorkDir::new("compare")?;
            let (sent, mut tables) = well(&dir);
            damage(&mut tables, &dir);
            assert_ne!(differences(&sent, &tables, dir.path()), Vec::<String>::new(), "{what}");
        }
        Ok(())
    }
}
