//! `--dev --demo N` on the embedded broker: every row, file and dead letter is compared with what the demo reports as sent.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::pipeline::{Pipeline, files_below};
use xact_testkit::sent::{Attachment, End, Sent, without_query};
use xact_testkit::text::cells;
use xact_testkit::{Result, WorkDir, assert_contains, ids};

/// Three of each kind of fault.
const EVENTS: usize = 150;

#[test]
fn a_demo_ends_with_exactly_what_was_sent_and_without_a_secret() -> Result<()> {
    let dir = WorkDir::new("demo")?;
    let count = EVENTS.to_string();
    let mut pipeline = Pipeline::spawn("demo", &["--demo", &count], &[("LOG_LEVEL", "debug")], &dir)?;
    let status = pipeline.running.process.wait(Duration::from_secs(120))?;
    let log = pipeline.running.process.log();
    assert_eq!(status.code(), Some(0), "{log}");

    let manifest = pipeline.manifest()?;
    assert_eq!(manifest.len(), EVENTS);
    let sent = Sent::of_manifest(&manifest);
    the_manifest_is_what_the_messages_say(&manifest, &sent);
    the_samples_are_like_real_events(&sent);

    let tables = pipeline.tables()?;
    assert_exactly_what_was_sent(&sent, &tables, &pipeline.files());
    the_progress_is_shown(&log);
    the_printed_table_is_true(&log, &sent);
    every_failure_has_its_dead_letter(&pipeline, &sent)?;
    assert_eq!(pipeline.cached().len(), 0, "files in the cache");
    no_signature_is_anywhere(&pipeline, &sent, &log, &format!("{tables:?}"));
    Ok(())
}

/// The demo's own expectations, against those derived from its messages.
fn the_manifest_is_what_the_messages_say(manifest: &[serde_json::Value], sent: &[Sent]) {
    for (claim, sent) in manifest.iter().zip(sent) {
        assert_eq!(claim["event_id"], ids::event_id(&sent.trace_id));
        let claims = claim["attachments"].as_array().unwrap();
        assert_eq!(claims.len(), sent.attachments.len(), "{claim}");
        for (claim, attachment) in claims.iter().zip(&sent.attachments) {
            assert_eq!(claim["media_id"], attachment.media_id, "{claim}");
            match &attachment.end {
                End::File { content, .. } => {
                    assert_eq!(claim["expected"], "file", "{claim}");
                    assert!(content.is_some(), "{claim}");
                }
                End::Failed(_) => assert_eq!(claim["expected"], "failed", "{claim}"),
            }
        }
    }
}

/// Checks the sample events: both shapes, 0 to 5 attachments, these types, 1 KB to several MB, and these faults.
fn the_samples_are_like_real_events(sent: &[Sent]) {
    let events = || sent.iter().filter_map(|sent| sent.event.as_ref());
    assert!(events().any(|event| event["payload"].is_object()), "the flat shape");
    assert!(events().any(|event| event["data"].is_object()), "the dotted shape");
    assert!(
        events().any(|event| event["data"].is_string()),
        "data as a string that holds JSON"
    );
    assert!(sent.iter().any(|sent| sent.event.is_none()), "an unreadable message");
    for count in 0..=5 {
        let has = |sent: &Sent| sent.event.is_some() && sent.attachments.len() == count;
        assert!(sent.iter().any(has), "an event with {count} attachments");
    }
    let attachments = || sent.iter().flat_map(|sent| &sent.attachments);
    let path = |attachment: &Attachment| without_query(&attachment.url).to_lowercase();
    for extension in ["pdf", "jpg", "png", "txt", "csv", "docx", "mov"] {
        assert!(attachments().any(|it| path(it).ends_with(extension)), "{extension}");
    }
    let faults = [
        "missing",
        "unavailable-once",
        "truncated-once",
        "html",
        "files.example.net",
        "X-Amz-Expires=3600",
    ];
    for fault in faults {
        assert!(attachments().any(|it| it.url.contains(fault)), "{fault}");
    }
    let sizes = attachments().filter_map(|attachment| match &attachment.end {
        End::File { content, .. } => Some(content.as_ref()?.bytes),
        End::Failed(_) => None,
    });
    let sizes: Vec<u64> = sizes.collect();
    let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
    assert!(
        least < Some(10_000) && most > Some(1_000_000),
        "{least:?} to {most:?} bytes"
    );
}

/// Checks the progress output: in a log, one line at intervals instead of a line that is updated.
fn the_progress_is_shown(log: &str) {
    let line = log.lines().find(|line| line.starts_with("events "));
    let line = line.unwrap_or_else(|| panic!("no progress: {log}"));
    assert_contains(
        line,
        &["/150", "files ", "bytes ", "rows ", "retries ", "dead letters "],
    );
}

/// Counts the numbers of the printed table again, since exit code 0 alone is the demo's own result.
fn the_printed_table_is_true(log: &str, sent: &[Sent]) {
    let files = sent
        .iter()
        .flat_map(|sent| &sent.attachments)
        .filter(|attachment| matches!(attachment.end, End::File { .. }))
        .count();
    let all: usize = sent.iter().map(|sent| sent.attachments.len()).sum();
    let readable = sent.iter().filter(|sent| sent.event.is_some()).count();
    let numbers: BTreeMap<&str, String> = BTreeMap::from([
        ("events in", format!("{readable} (")),
        ("rows in xact_events", readable.to_string()),
        ("rows in xact_attachments", files.to_string()),
        ("rows in xact_attachments_failed", (all - files).to_string()),
        ("files in the lake", format!("{files}, ")),
        ("lost", "0 attachments, 0 events".to_owned()),
        ("duplicate keys", "0".to_owned()),
        (
            "unreadable messages",
            format!("{0} sent, {0} dead-lettered", sent.len() - readable),
        ),
        ("event to row", "p50 ".to_owned()),
        ("throughput", String::new()),
    ]);
    for (name, value) in numbers {
        let mut rows = log.lines().map(cells);
        let found = rows
            .find(|cells| cells.len() == 2 && cells[0] == name)
            .map(|cells| cells[1]);
        let is_expected = found.is_some_and(|found| found.starts_with(&value));
        assert!(is_expected, "{name}: {found:?}, expected {value}");
    }
    assert_contains(log, &["Every attachment is accounted for exactly once."]);
}

/// One line of the audit log for each attachment that failed and each message that is unreadable; no other.
fn every_failure_has_its_dead_letter(pipeline: &Pipeline, sent: &[Sent]) -> Result<()> {
    let mut letters: Vec<(String, String)> = Vec::new();
    for line in pipeline.audit()? {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("error_category"), "permanent", "{line}");
        letters.push((text("trace_id"), text("media_id")));
    }
    let mut expected: Vec<(String, String)> = Vec::new();
    for sent in sent {
        if sent.event.is_none() {
            expected.push((sent.trace_id.clone(), String::new()));
        }
        let failed = sent
            .attachments
            .iter()
            .filter(|attachment| matches!(attachment.end, End::Failed(_)));
        expected.extend(failed.map(|attachment| (sent.trace_id.clone(), attachment.media_id.clone())));
    }
    letters.sort();
    expected.sort();
    assert_eq!(letters, expected);
    Ok(())
}

/// In no row, no log line, no dead letter, and nowhere in the Delta logs, whose statistics repeat values.
fn no_signature_is_anywhere(pipeline: &Pipeline, sent: &[Sent], log: &str, rows: &str) {
    let signatures: Vec<&str> = sent
        .iter()
        .flat_map(|sent| &sent.attachments)
        .map(Attachment::signature)
        .collect();
    assert!(signatures.len() > EVENTS && signatures.iter().all(|signature| signature.len() == 64));
    let read = |path: &std::path::PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut texts = vec![
        ("the log".to_owned(), log.to_owned()),
        ("the rows".to_owned(), rows.to_owned()),
    ];
    let mut files = files_below(&pipeline.folder().join("lake/Tables"));
    files.push(pipeline.folder().join("audit.jsonl"));
    assert!(files.len() > 6, "{files:?}");
    texts.extend(files.iter().map(|path| (path.display().to_string(), read(path))));
    for (place, text) in &texts {
        for signature in &signatures {
            assert!(!text.contains(signature), "{place} holds the signature {signature}");
        }
        // The query is cut off as a whole.
        assert!(!text.contains("X-Amz-Credential="), "{place} holds a credential");
    }
}
