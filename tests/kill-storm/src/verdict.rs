//! What is there against what must be there: rows, files, dead letters, audit lines, logs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::thread;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::events::{Attachment, End, Event, SIGNATURE};
use xact_testkit::kcat::Record;
use xact_testkit::tables::Tables;

/// What is wrong with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No row, no file or no dead letter where there must be one.
    Lost,
    /// More than one.
    Duplicate,
    /// A file that is not what the server has.
    WrongBytes,
    /// Something that must not be there at all: a row, a file, a dead letter.
    Stranger,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of fault.
    pub fault: Fault,
    /// The trace id or media id that it is about.
    pub id: String,
    /// In words.
    pub text: String,
}

/// Everything that a run left.
pub struct Evidence<'a> {
    /// The tables, as Python reads them.
    pub tables: &'a Tables,
    /// Folder of the lake's files.
    pub files: &'a Path,
    /// The dead-letter topic.
    pub dead_letters: &'a [Record],
    /// The lines of the audit log.
    pub audit: &'a [Value],
}

/// Rows by key; more than one is a duplicate.
type Rows<'a> = HashMap<&'a str, Vec<&'a Value>>;

/// Compares everything.
#[must_use]
pub fn findings(events: &[Event], evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let rows = by_key(&evidence.tables.events, "event_id");
    for event in events {
        known.insert(&event.event_id);
        let count = rows.get(event.event_id.as_str()).map_or(0, Vec::len);
        let what = format!("event {}", event.trace_id);
        count_rows(
            &mut findings,
            &event.trace_id,
            &what,
            count,
            usize::from(event.is_readable),
        );
    }
    let completed = by_key(&evidence.tables.attachments, "media_id");
    let failed = by_key(&evidence.tables.failed, "media_id");
    let attachments: Vec<&Attachment> = events.iter().flat_map(|event| &event.attachments).collect();
    known.extend(attachments.iter().map(|attachment| attachment.media_id.as_str()));
    // Hashing tens of thousands of files is the slow part.
    let parts = thread::available_parallelism().map_or(1, usize::from);
    let per_part = attachments.len().div_ceil(parts).max(1);
    thread::scope(|scope| {
        let (completed, failed) = (&completed, &failed);
        let judge = |chunk: &[&Attachment]| -> Vec<Finding> {
            let judged = chunk
                .iter()
                .map(|attachment| judge(attachment, completed, failed, evidence.files));
            judged.flatten().collect()
        };
        let running: Vec<_> = attachments
            .chunks(per_part)
            .map(|chunk| scope.spawn(move || judge(chunk)))
            .collect();
        for part in running {
            findings.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    for (name, rows) in [
        ("xact_events", &rows),
        ("xact_attachments", &completed),
        ("xact_attachments_failed", &failed),
    ] {
        for key in rows.keys().filter(|key| !known.contains(**key)) {
            stranger(
                &mut findings,
                key,
                format!("{name} has a row of {key}, of which nothing was sent"),
            );
        }
    }
    files_without_rows(&mut findings, evidence);
    dead_letters(&mut findings, events, evidence);
    findings.extend(signatures(evidence));
    findings
}

fn by_key<'a>(rows: &'a [Value], key: &str) -> Rows<'a> {
    let mut by_key = Rows::new();
    for row in rows {
        by_key
            .entry(row[key].as_str().unwrap_or_default())
            .or_default()
            .push(row);
    }
    by_key
}

fn finding(fault: Fault, id: &str, text: String) -> Finding {
    Finding {
        fault,
        id: id.to_owned(),
        text,
    }
}

fn stranger(findings: &mut Vec<Finding>, id: &str, text: String) {
    findings.push(finding(Fault::Stranger, id, text));
}

fn count_rows(findings: &mut Vec<Finding>, id: &str, what: &str, count: usize, wanted: usize) {
    let fault = match (count, wanted) {
        (count, wanted) if count == wanted => return,
        (0, _) => Fault::Lost,
        (_, 0) => Fault::Stranger,
        _ => Fault::Duplicate,
    };
    findings.push(finding(fault, id, format!("{what}: {count} rows, {wanted} expected")));
}

/// One attachment: exactly one row, in the right table, and its file.
fn judge(attachment: &Attachment, completed: &Rows<'_>, failed: &Rows<'_>, files: &Path) -> Vec<Finding> {
    let id = attachment.media_id.as_str();
    let rows = |rows: &Rows<'_>| rows.get(id).map_or(0, Vec::len);
    let (done, gone) = (rows(completed), rows(failed));
    let what = format!("attachment {id} ({}, {:?})", attachment.kind, attachment.end);
    let mut findings = Vec::new();
    match (attachment.end, done, gone) {
        (End::File, 1, 0) | (End::Failed, 0, 1) => {}
        (_, 0, 0) => findings.push(finding(Fault::Lost, id, format!("{what} has no row"))),
        (End::File, 0, _) | (End::Failed, _, 0) => {
            findings.push(finding(
                Fault::Lost,
                id,
                format!("{what} has its row in the wrong table"),
            ));
        }
        _ => {
            let text = format!("{what}: {done} rows in xact_attachments, {gone} in xact_attachments_failed");
            findings.push(finding(Fault::Duplicate, id, text));
        }
    }
    if let (End::File, Some(row)) = (attachment.end, completed.get(id).and_then(|rows| rows.first())) {
        let wanted = attachment.sha256();
        let path = row["blob_path"].as_str().unwrap_or_default();
        match fs::read(files.join(path)) {
            Err(error) => findings.push(finding(Fault::Lost, id, format!("{what}: its file {path}: {error}"))),
            Ok(bytes) => {
                let found = hex::encode(Sha256::digest(&bytes));
                if found != wanted || row["sha256"] != wanted || row["bytes_downloaded"] != bytes.len() {
                    let size = bytes.len();
                    let text =
                        format!("{what}: {path} has {size} bytes and hashes to {found}, not {wanted}; row {row}");
                    findings.push(finding(Fault::WrongBytes, id, text));
                }
            }
        }
    }
    findings
}

/// A file in the lake belongs to exactly one row. What the lake is still writing has a name of its own, which readers skip.
fn files_without_rows(findings: &mut Vec<Finding>, evidence: &Evidence<'_>) {
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &evidence.tables.attachments {
        *rows.entry(row["blob_path"].as_str().unwrap_or_default()).or_default() += 1;
    }
    for path in xact_testkit::pipeline::files_below(evidence.files) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = path.strip_prefix(evidence.files).unwrap_or(&path).display().to_string();
        if !name.starts_with('.') && !rows.contains_key(path.as_str()) {
            stranger(findings, &path, format!("the lake has {path}, which no row names"));
        }
    }
}

/// Dead letters are exactly those of failed attachments and unreadable messages, and each was audited. One may come
/// twice: it is delivered at least once.
fn dead_letters(findings: &mut Vec<Finding>, events: &[Event], evidence: &Evidence<'_>) {
    let id = |letter: &Value| {
        let id = letter["media_id"].as_str().or(letter["trace_id"].as_str());
        id.unwrap_or_default().to_owned()
    };
    let letter = |record: &Record| serde_json::from_slice::<Value>(&record.value).unwrap_or_default();
    let there: BTreeSet<String> = evidence.dead_letters.iter().map(|record| id(&letter(record))).collect();
    let audited: BTreeSet<String> = evidence.audit.iter().map(id).collect();
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for event in events {
        if !event.is_readable {
            wanted.insert(&event.trace_id);
        }
        let failed = event
            .attachments
            .iter()
            .filter(|attachment| attachment.end == End::Failed);
        wanted.extend(failed.map(|attachment| attachment.media_id.as_str()));
    }
    for id in &wanted {
        if !there.contains(*id) {
            findings.push(finding(Fault::Lost, id, format!("{id} has no dead letter")));
        } else if !audited.contains(*id) {
            findings.push(finding(
                Fault::Lost,
                id,
                format!("the dead letter of {id} has no audit line"),
            ));
        }
    }
    for record in evidence.dead_letters {
        let letter = letter(record);
        let id = id(&letter);
        if !wanted.contains(id.as_str()) {
            let place = format!("{}@{}", record.partition, record.offset);
            let why = format!("{} {}", letter["error_category"], letter["final_error"]);
            stranger(
                findings,
                &id,
                format!("a good message is in the dead letters at {place}: {why}"),
            );
        }
    }
}

fn signatures(evidence: &Evidence<'_>) -> Vec<Finding> {
    let tables = evidence.tables;
    let places = [
        ("xact_events", &tables.events[..]),
        ("xact_attachments", &tables.attachments),
        ("xact_attachments_failed", &tables.failed),
        ("the audit log", evidence.audit),
    ];
    places
        .iter()
        .filter(|(_, rows)| rows.iter().any(|row| row.to_string().contains(SIGNATURE)))
        .map(|(name, _)| finding(Fault::Stranger, "", format!("a URL's signature is in {name}")))
        .collect()
}

/// What must be in no log.
#[must_use]
pub fn in_logs(logs: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, log) in logs {
        for (word, what) in [("panicked at", "a panic"), (SIGNATURE, "a URL's signature")] {
            if let Some(line) = log.lines().find(|line| line.contains(word)) {
                let line: String = line.chars().take(500).collect();
                stranger(&mut findings, "", format!("{what} is in the log of {name}: {line}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use xact_testkit::{Result, WorkDir};

    /// A run's end as it must be.
    struct End {
        events: Vec<Event>,
        tables: Tables,
        letters: Vec<Record>,
        audit: Vec<Value>,
        dir: WorkDir,
    }

    impl End {
        fn good() -> Result<Self> {
            let dir = WorkDir::new("verdict")?;
            let events = crate::events::of_seed(11, 300);
            let mut tables = Tables::default();
            let (mut letters, mut audit) = (Vec::new(), Vec::new());
            let mut letter = |value: Value| {
                audit.push(value.clone());
                letters.push(Record {
                    key: String::new(),
                    partition: 0,
                    offset: 0,
                    timestamp: 0,
                    value: value.to_string().into_bytes(),
                });
            };
            for event in &events {
                match event.is_readable {
                    true => tables.events.push(json!({"event_id": event.event_id})),
                    false => letter(json!({"trace_id": event.trace_id, "media_id": null})),
                }
                for attachment in &event.attachments {
                    let id = &attachment.media_id;
                    if attachment.end == crate::events::End::Failed {
                        tables.failed.push(json!({"media_id": id}));
                        letter(json!({"media_id": id}));
                        continue;
                    }
                    let path = format!("a/{id}");
                    let url = attachment.url.replace("/redirect/", "/ok/");
                    let url = url.split_once("://").unwrap().1;
                    let path_of_url = attachment_source::decode_path(&url[url.find('/').unwrap()..]);
                    let bytes = attachment_source::content_for(&path_of_url).to_bytes();
                    fs::create_dir_all(dir.join("a")).unwrap();
                    fs::write(dir.join(&path), &bytes).unwrap();
                    let hash = hex::encode(Sha256::digest(&bytes));
                    tables.attachments.push(
                        json!({"media_id": id, "blob_path": path, "sha256": hash, "bytes_downloaded": bytes.len()}),
                    );
                }
            }
            Ok(Self {
                events,
                tables,
                letters,
                audit,
                dir,
            })
        }

        fn faults(&self) -> Vec<Fault> {
            let evidence = Evidence {
                tables: &self.tables,
                files: self.dir.path(),
                dead_letters: &self.letters,
                audit: &self.audit,
            };
            let mut faults: Vec<Fault> = findings(&self.events, &evidence)
                .iter()
                .map(|finding| finding.fault)
                .collect();
            faults.sort();
            faults
        }
    }

    #[test]
    fn a_good_end_has_no_finding() -> Result<()> {
        assert_eq!(End::good()?.faults(), []);
        Ok(())
    }

    #[test]
    fn every_kind_of_loss_and_of_too_much_is_found() -> Result<()> {
        type Damage = fn(&mut End);
        let damages: [(&str, Damage, &[Fault]); 12] = [
            ("an event is lost", |end| drop(end.tables.events.pop()), &[Fault::Lost]),
            ("a failure is lost", |end| drop(end.tables.failed.pop()), &[Fault::Lost]),
            (
                "a file's row is lost: so nobody names the file",
                |end| drop(end.tables.attachments.pop()),
                &[Fault::Lost, Fault::Stranger],
            ),
            (
                "a file is lost",
                |end| fs::remove_file(end.dir.join(end.tables.attachments[0]["blob_path"].as_str().unwrap())).unwrap(),
                &[Fault::Lost],
            ),
            (
                "an event twice",
                |end| end.tables.events.push(end.tables.events[0].clone()),
                &[Fault::Duplicate],
            ),
            (
                "a file twice",
                |end| end.tables.attachments.push(end.tables.attachments[0].clone()),
                &[Fault::Duplicate],
            ),
            (
                "a file that is a failure as well",
                |end| {
                    let id = end.tables.attachments[0]["media_id"].clone();
                    end.tables.failed.push(json!({"media_id": id}));
                },
                &[Fault::Duplicate],
            ),
            (
                "other bytes",
                |end| {
                    let path = end.tables.attachments[0]["blob_path"].as_str().unwrap();
                    fs::write(end.dir.join(path), "other").unwrap();
                },
                &[Fault::WrongBytes],
            ),
            ("a dead letter is lost", |end| drop(end.letters.pop()), &[Fault::Lost]),
            ("an audit line is lost", |end| drop(end.audit.pop()), &[Fault::Lost]),
            (
                "a good message among the dead letters",
                |end| {
                    let id = end.tables.attachments[0]["media_id"].clone();
                    end.letters[0].value = json!({"media_id": id}).to_string().into_bytes();
                    end.letters.push(end.letters[0].clone());
                },
                &[Fault::Lost, Fault::Stranger, Fault::Stranger],
            ),
            (
                "a signature in a table",
                |end| end.tables.failed[0]["error_message"] = format!("https://a/b?{SIGNATURE}").into(),
                &[Fault::Stranger],
            ),
        ];
        for (name, damage, faults) in damages {
            let mut end = End::good()?;
            damage(&mut end);
            assert_eq!(end.faults(), faults, "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_panic_and_a_signature_in_a_log_are_found() {
        let log = |text: String| vec![("download-1".to_owned(), text)];
        assert_eq!(in_logs(&log("all is well".to_owned())), []);
        assert_eq!(in_logs(&log("thread 'x' panicked at src/a.rs".to_owned())).len(), 1);
        assert_eq!(in_logs(&log(format!("GET https://a/b?{SIGNATURE}00"))).len(), 1);
    }
}
