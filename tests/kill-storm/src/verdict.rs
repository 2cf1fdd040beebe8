//! Compares the results of a run with the expected ones: rows and files, as in every end-to-end test, and also dead letters,
//! audit lines and logs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use attachment_source::{content_for, decode_path};
use xact_testkit::compare::{self, Fault, Finding};
use xact_testkit::events::SIGNATURE;
use xact_testkit::kcat::Record;
use xact_testkit::sent::{Content, End, Sent};
use xact_testkit::tables::Tables;

/// The results of a run.
pub struct Evidence<'a> {
    /// The tables, as Python reads them.
    pub tables: &'a Tables,
    /// Folder of the files in the lake.
    pub files: &'a Path,
    /// Records of the dead-letter topic.
    pub dead_letters: &'a [Record],
    /// The lines of the audit log.
    pub audit: &'a [Value],
}

/// Returns every difference from the expected results.
pub fn findings(sent: &[Sent], evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = compare::findings(sent, evidence.tables, evidence.files);
    findings.extend(compare::files_without_rows(evidence.tables, evidence.files));
    dead_letters(&mut findings, sent, evidence);
    findings.extend(signatures(evidence));
    findings
}

/// Sets the expected content of each attachment that must end as a file. The sample server computes every file from its path.
pub fn fill_in(sent: &mut [Sent]) {
    for attachment in sent.iter_mut().flat_map(|sent| &mut sent.attachments) {
        if let End::File { content, .. } = &mut attachment.end {
            *content = Some(served(&attachment.url));
        }
    }
}

fn served(url: &str) -> Content {
    let file = content_for(&served_path(url));
    Content {
        bytes: file.size(),
        sha256: file.sha256(),
    }
}

/// Returns the path of the file that is served: a redirect leads to the file under `ok`.
fn served_path(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = decode_path(rest.find('/').map_or("/", |slash| &rest[slash..]));
    match path.strip_prefix("/redirect/") {
        Some(below) => format!("/ok/{below}"),
        None => path,
    }
}

/// Checks that failed attachments and unreadable messages, and nothing else, have dead letters, and that each has an audit
/// line. A dead letter may occur twice, since it is delivered at least once.
fn dead_letters(findings: &mut Vec<Finding>, sent: &[Sent], evidence: &Evidence<'_>) {
    let id = |letter: &Value| {
        let id = letter["media_id"].as_str().or(letter["trace_id"].as_str());
        id.unwrap_or_default().to_owned()
    };
    let letter = |record: &Record| serde_json::from_slice::<Value>(&record.value).unwrap_or_default();
    let there: BTreeSet<String> = evidence.dead_letters.iter().map(|record| id(&letter(record))).collect();
    let audited: BTreeSet<String> = evidence.audit.iter().map(id).collect();
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for sent in sent {
        if sent.event.is_none() {
            wanted.insert(&sent.trace_id);
        }
        let failed = sent
            .attachments
            .iter()
            .filter(|attachment| matches!(attachment.end, End::Failed(_)));
        wanted.extend(failed.map(|attachment| attachment.media_id.as_str()));
    }
    for id in &wanted {
        if !there.contains(*id) {
            findings.push(Finding::new(Fault::Lost, id, format!("{id} has no dead letter")));
        } else if !audited.contains(*id) {
            findings.push(Finding::new(
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
            let text = format!("unexpected dead letter at {place}: {why}");
            findings.push(Finding::new(Fault::Unexpected, &id, text));
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
        .map(|(name, _)| Finding::new(Fault::Unexpected, "", format!("a URL's signature is in {name}")))
        .collect()
}

/// Returns the logs that contain a panic or a URL's signature.
pub fn in_logs(logs: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, log) in logs {
        for (word, what) in [("panicked at", "a panic"), (SIGNATURE, "a URL's signature")] {
            if let Some(line) = log.lines().find(|line| line.contains(word)) {
                let line: String = line.chars().take(500).collect();
                let text = format!("{what} is in the log of {name}: {line}");
                findings.push(Finding::new(Fault::Unexpected, "", text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use serde_json::json;

    use super::*;
    use xact_testkit::{Result, WorkDir, events, rows};

    /// Results of a run.
    struct Results {
        sent: Vec<Sent>,
        tables: Tables,
        letters: Vec<Record>,
        audit: Vec<Value>,
        dir: WorkDir,
    }

    impl Results {
        fn correct() -> Result<Self> {
            let dir = WorkDir::new("verdict")?;
            let mut sent: Vec<Sent> = events::of_seed(11, 300).into_iter().map(|event| event.sent).collect();
            fill_in(&mut sent);
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
            for sent in &sent {
                if sent.event.is_none() {
                    letter(json!({"trace_id": sent.trace_id, "media_id": null}));
                }
                for attachment in &sent.attachments {
                    if let End::Failed(_) = attachment.end {
                        letter(json!({"media_id": attachment.media_id}));
                        continue;
                    }
                    let path = dir.join(rows::blob_path(sent, attachment).unwrap());
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content_for(&served_path(&attachment.url)).to_bytes()).unwrap();
                }
            }
            Ok(Self {
                tables: rows::tables(&sent),
                sent,
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
            let mut faults: Vec<Fault> = findings(&self.sent, &evidence)
                .iter()
                .map(|finding| finding.fault)
                .collect();
            faults.sort();
            faults
        }
    }

    #[test]
    fn correct_results_have_no_findings() -> Result<()> {
        assert_eq!(Results::correct()?.faults(), []);
        Ok(())
    }

    /// Faults of rows and files are found by [`compare`], which has its own tests.
    #[test]
    fn faults_of_dead_letters_audit_and_signatures_are_found() -> Result<()> {
        type Damage = fn(&mut Results);
        let damages: [(&str, Damage, &[Fault]); 5] = [
            (
                "the row of a file is lost, so that no row names the file",
                |results| drop(results.tables.attachments.pop()),
                &[Fault::Lost, Fault::Unexpected],
            ),
            (
                "a dead letter is lost",
                |results| drop(results.letters.pop()),
                &[Fault::Lost],
            ),
            (
                "an audit line is lost",
                |results| drop(results.audit.pop()),
                &[Fault::Lost],
            ),
            (
                "a dead letter of a completed attachment",
                |results| {
                    let id = results.tables.attachments[0]["media_id"].clone();
                    results.letters[0].value = json!({"media_id": id}).to_string().into_bytes();
                    results.letters.push(results.letters[0].clone());
                },
                &[Fault::Lost, Fault::Unexpected, Fault::Unexpected],
            ),
            (
                "a signature in a table",
                |results| results.tables.failed[0]["error_message"] = format!("https://a/b?{SIGNATURE}").into(),
                &[Fault::Unexpected],
            ),
        ];
        for (name, damage, faults) in damages {
            let mut results = Results::correct()?;
            damage(&mut results);
            assert_eq!(results.faults(), faults, "{name}");
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
