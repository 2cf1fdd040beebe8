//! Compares every row and every file with the messages that were sent: nothing is missing, duplicated or wrong.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::{fs, thread};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids;
use crate::rows::{self, Row};
use crate::sent::{Attachment, End, Failure, Sent, without_query};
use crate::tables::Tables;

/// Maximum number of findings that a failed assertion prints.
const MAX_PRINTED: usize = 10;

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A required row, file or dead letter is missing.
    Lost,
    /// A row occurs more than once.
    Duplicate,
    /// A file differs from that of the server, or a column from the event.
    Wrong,
    /// A row, a file or a dead letter that must not exist.
    Unexpected,
}

/// A fault of a row or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of fault.
    pub fault: Fault,
    /// The trace id or media id that it concerns.
    pub id: String,
    /// A description.
    pub text: String,
}

impl Finding {
    /// Creates a finding about an id.
    pub fn new(fault: Fault, id: &str, text: impl Into<String>) -> Self {
        Self {
            fault,
            id: id.to_owned(),
            text: text.into(),
        }
    }
}

/// Panics with the first findings, if there are any.
///
/// # Panics
/// When anything differs.
pub fn assert_exactly_what_was_sent(sent: &[Sent], tables: &Tables, files: &Path) {
    let findings = findings(sent, tables, files);
    let shown: Vec<String> = findings
        .iter()
        .take(MAX_PRINTED)
        .map(|finding| format!("{:?}: {}", finding.fault, finding.text))
        .collect();
    assert!(
        findings.is_empty(),
        "{} findings, such as\n{}",
        findings.len(),
        shown.join("\n")
    );
}

/// Groups rows by key; several rows with one key are duplicates.
type Rows<'a> = HashMap<&'a str, Vec<&'a Row>>;

fn by_key<'a>(rows: &'a [Value], key: &str) -> Rows<'a> {
    let mut by_key = Rows::new();
    for row in rows.iter().filter_map(Value::as_object) {
        by_key
            .entry(row[key].as_str().unwrap_or_default())
            .or_default()
            .push(row);
    }
    by_key
}

/// Returns all differences.
pub fn findings(sent: &[Sent], tables: &Tables, files: &Path) -> Vec<Finding> {
    let comparison = Comparison {
        events: by_key(&tables.events, "event_id"),
        completed: by_key(&tables.attachments, "media_id"),
        failed: by_key(&tables.failed, "media_id"),
        files,
    };
    // In parallel, because hashing tens of thousands of files takes the most time.
    let parts = thread::available_parallelism().map_or(1, usize::from);
    let per_part = sent.len().div_ceil(parts).max(1);
    let mut findings: Vec<Finding> = thread::scope(|scope| {
        let compare = |part: &[Sent]| {
            part.iter()
                .flat_map(|sent| comparison.message(sent))
                .collect::<Vec<_>>()
        };
        let running: Vec<_> = sent
            .chunks(per_part)
            .map(|part| scope.spawn(move || compare(part)))
            .collect();
        running
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let event_ids: BTreeSet<String> = sent.iter().map(|sent| ids::event_id(&sent.trace_id)).collect();
    let media_ids: BTreeSet<&str> = sent
        .iter()
        .flat_map(|sent| &sent.attachments)
        .map(|attachment| attachment.media_id.as_str())
        .collect();
    let mut unexpected = |name: &str, rows: &Rows<'_>, is_known: &dyn Fn(&str) -> bool| {
        for key in rows.keys().filter(|key| !is_known(key)) {
            let text = format!("{name} has a row of {key}, for which nothing was sent");
            findings.push(Finding::new(Fault::Unexpected, key, text));
        }
    };
    unexpected("xact_events", &comparison.events, &|id| event_ids.contains(id));
    unexpected("xact_attachments", &comparison.completed, &|id| media_ids.contains(id));
    unexpected("xact_attachments_failed", &comparison.failed, &|id| {
        media_ids.contains(id)
    });
    findings
}

/// Finds the files of the lake that no row names. Names of files that are still being written begin with a dot; readers skip
/// them.
pub fn files_without_rows(tables: &Tables, files: &Path) -> Vec<Finding> {
    let named: BTreeSet<&str> = tables
        .attachments
        .iter()
        .filter_map(|row| row["blob_path"].as_str())
        .collect();
    let is_stranger = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = path.strip_prefix(files).unwrap_or(path).display().to_string();
        (!name.starts_with('.') && !named.contains(path.as_str())).then(|| {
            Finding::new(
                Fault::Unexpected,
                &path,
                format!("the lake has {path}, which no row names"),
            )
        })
    };
    crate::pipeline::files_below(files)
        .iter()
        .filter_map(|path| is_stranger(path))
        .collect()
}

/// The rows and files that the messages are compared with.
struct Comparison<'a> {
    events: Rows<'a>,
    completed: Rows<'a>,
    failed: Rows<'a>,
    files: &'a Path,
}

impl Comparison<'_> {
    fn message(&self, sent: &Sent) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.event(sent, &mut findings);
        for attachment in &sent.attachments {
            self.attachment(sent, attachment, &mut findings);
        }
        findings
    }

    fn event(&self, sent: &Sent, findings: &mut Vec<Finding>) {
        let event_id = ids::event_id(&sent.trace_id);
        let rows = self.events.get(event_id.as_str()).map_or(&[][..], Vec::as_slice);
        let what = format!("event {}", sent.trace_id);
        let fault = match (rows, rows::event_row(sent)) {
            ([], None) => return,
            ([row], Some(expected)) => {
                let mut row = (*row).clone();
                // Compared as JSON: the text may be formatted differently.
                let raw: Option<Value> = row["raw_json"]
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok());
                row.insert("raw_json".into(), raw.unwrap_or_default());
                return columns(&sent.trace_id, &what, row, &expected, rows::EVENT_CLOCK, findings);
            }
            ([], Some(_)) => Fault::Lost,
            (_, None) => Fault::Unexpected,
            (_, Some(_)) => Fault::Duplicate,
        };
        let text = format!("{what}: {} rows: {rows:?}", rows.len());
        findings.push(Finding::new(fault, &sent.trace_id, text));
    }

    fn attachment(&self, sent: &Sent, attachment: &Attachment, findings: &mut Vec<Finding>) {
        let id = attachment.media_id.as_str();
        let rows = |rows: &Rows<'_>| {
            rows.get(id)
                .map_or(Vec::new(), |rows| rows.iter().map(|row| (*row).clone()).collect())
        };
        let (done, gone): (Vec<Row>, Vec<Row>) = (rows(&self.completed), rows(&self.failed));
        let what = format!("attachment {id} at {}", without_query(&attachment.url));
        let mut finding = |fault, text: String| findings.push(Finding::new(fault, id, text));
        match (&attachment.end, &done[..], &gone[..]) {
            (End::File { .. }, [_], []) | (End::Failed(_), [], [_]) => {}
            (end, [], []) => finding(Fault::Lost, format!("{what} has no row and must end as {end:?}")),
            (end @ End::File { .. }, [], _) | (end @ End::Failed(_), _, []) => {
                finding(
                    Fault::Lost,
                    format!("{what} must end as {end:?}: {done:?}, failed {gone:?}"),
                );
            }
            _ => finding(
                Fault::Duplicate,
                format!(
                    "{what}: {} rows in xact_attachments, {} in xact_attachments_failed",
                    done.len(),
                    gone.len()
                ),
            ),
        }
        match &attachment.end {
            End::File { retries, .. } => {
                let Some(row) = done.into_iter().next() else { return };
                let count = row["retry_count"].as_i64().unwrap_or(-1);
                if !retries.contains(&count) {
                    findings.push(Finding::new(
                        Fault::Wrong,
                        id,
                        format!("{what}: retry_count is {count}"),
                    ));
                }
                findings.extend(self.file(id, &what, &row));
                match rows::attachment_row(sent, attachment) {
                    Some(expected) => columns(id, &what, row, &expected, rows::ATTACHMENT_CLOCK, findings),
                    None => findings.push(Finding::new(
                        Fault::Wrong,
                        id,
                        format!("{what}: the test does not say what is served there"),
                    )),
                }
            }
            End::Failed(failure) => {
                let Some(row) = gone.into_iter().next() else { return };
                let clock = match failure {
                    Failure::Any => rows::ANY_FAILURE,
                    Failure::Permanent { message, .. } => {
                        if !row["error_message"].as_str().is_some_and(|text| text.contains(message)) {
                            let text = format!("{what}: error_message is {}", row["error_message"]);
                            findings.push(Finding::new(Fault::Wrong, id, text));
                        }
                        rows::FAILED_CLOCK
                    }
                };
                if let Some(expected) = rows::failed_row(sent, attachment) {
                    columns(id, &what, row, &expected, clock, findings);
                }
            }
        }
    }

    /// Checks that the file of a row exists and has the size and hash of the row.
    fn file(&self, id: &str, what: &str, row: &Row) -> Option<Finding> {
        let path = row["blob_path"].as_str().unwrap_or_default();
        let bytes = match fs::read(self.files.join(path)) {
            Ok(bytes) => bytes,
            Err(error) => {
                return Some(Finding::new(
                    Fault::Lost,
                    id,
                    format!("{what}: its file {path}: {error}"),
                ));
            }
        };
        let sha256 = hex::encode(Sha256::digest(&bytes));
        (row["bytes_downloaded"] != bytes.len() || row["sha256"] != sha256).then(|| {
            let size = bytes.len();
            let text = format!("{what}: {path} has {size} bytes and hashes to {sha256}, its row is {row:?}");
            Finding::new(Fault::Wrong, id, text)
        })
    }
}

/// Checks that every column is as expected, and that those of the clock are set and in order.
fn columns(id: &str, what: &str, mut row: Row, expected: &Row, clock: &[&str], findings: &mut Vec<Finding>) {
    let mut wrong = |text: String| findings.push(Finding::new(Fault::Wrong, id, format!("{what}: {text}")));
    let mut before = String::new();
    for column in clock {
        let value = row.remove(*column).unwrap_or_default();
        if !column.ends_with("_at") {
            continue;
        }
        let text = value.as_str().unwrap_or_default().to_owned();
        // RFC 3339 in UTC with microseconds sorts as text.
        if text.len() != "2024-12-31T12:00:00.000000Z".len() || text < before {
            wrong(format!("{column} is {value}, after {before:?}"));
        }
        before = text;
    }
    for (column, expected) in expected {
        let found = row.remove(column);
        if found.as_ref() != Some(expected) {
            wrong(format!("{column} is {found:?}, expected {expected}"));
        }
    }
    for (column, value) in row {
        wrong(format!("{column} is {value}, which is not an expected column"));
    }
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
        let path = dir.join(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "bytes").unwrap();
        let sent = vec![sent];
        let tables = rows::tables(&sent);
        (sent, tables)
    }

    #[test]
    fn correct_results_have_no_findings() -> Result<()> {
        let dir = WorkDir::new("compare")?;
        let (sent, tables) = well(&dir);
        assert_eq!(findings(&sent, &tables, dir.path()), []);
        Ok(())
    }

    fn faults(sent: &[Sent], tables: &Tables, files: &Path) -> Vec<Fault> {
        let mut faults: Vec<Fault> = findings(sent, tables, files)
            .iter()
            .map(|finding| finding.fault)
            .collect();
        faults.sort();
        faults
    }

    #[test]
    fn every_kind_of_damage_is_found() -> Result<()> {
        type Damage = fn(&mut Tables, &WorkDir);
        let damages: [(&str, Damage, &[Fault]); 14] = [
            ("an event is lost", |tables, _| tables.events.clear(), &[Fault::Lost]),
            (
                "a file's row is lost",
                |tables, _| tables.attachments.clear(),
                &[Fault::Lost],
            ),
            ("a failure is lost", |tables, _| tables.failed.clear(), &[Fault::Lost]),
            (
                "an event twice",
                |tables, _| tables.events.push(tables.events[0].clone()),
                &[Fault::Duplicate],
            ),
            (
                "a file twice",
                |tables, _| tables.attachments.push(tables.attachments[0].clone()),
                &[Fault::Duplicate],
            ),
            (
                "a file counts as failed as well",
                |tables, _| {
                    let mut row = tables.failed[0].clone();
                    row["media_id"] = tables.attachments[0]["media_id"].clone();
                    tables.failed.push(row);
                },
                &[Fault::Duplicate],
            ),
            (
                "a row of nothing",
                |tables, _| {
                    let mut row = tables.events[0].clone();
                    row["event_id"] = "another".into();
                    tables.events.push(row);
                },
                &[Fault::Unexpected],
            ),
            (
                "a column is wrong",
                |tables, _| tables.events[0]["source_system"] = Value::Null,
                &[Fault::Wrong],
            ),
            (
                "a column is new",
                |tables, _| tables.attachments[0]["new"] = 1.into(),
                &[Fault::Wrong],
            ),
            (
                "a clock runs backwards",
                |tables, _| tables.failed[0]["failed_at"] = "2025-01-02T00:00:00.000000Z".into(),
                &[Fault::Wrong],
            ),
            (
                "it was retried for nothing",
                |tables, _| tables.attachments[0]["retry_count"] = 1.into(),
                &[Fault::Wrong],
            ),
            (
                "another reason for the failure",
                |tables, _| tables.failed[0]["error_message"] = "503".into(),
                &[Fault::Wrong],
            ),
            (
                "the file is gone",
                |_, dir| fs::remove_file(dir.join(FILE)).unwrap(),
                &[Fault::Lost],
            ),
            (
                "the file is damaged",
                |_, dir| fs::write(dir.join(FILE), "bytex").unwrap(),
                &[Fault::Wrong],
            ),
        ];
        for (what, damage, expected) in damages {
            let dir = WorkDir::new("compare")?;
            let (sent, mut tables) = well(&dir);
            damage(&mut tables, &dir);
            assert_eq!(faults(&sent, &tables, dir.path()), expected, "{what}");
        }
        Ok(())
    }

    #[test]
    fn a_file_that_no_row_names_is_found() -> Result<()> {
        let dir = WorkDir::new("compare")?;
        let (_, tables) = well(&dir);
        assert_eq!(files_without_rows(&tables, dir.path()), []);
        fs::write(dir.join("a.pdf"), "bytes").unwrap();
        fs::write(dir.join(".a.pdf.writing"), "byt").unwrap();
        assert_eq!(files_without_rows(&tables, dir.path()).len(), 1);
        Ok(())
    }
}
