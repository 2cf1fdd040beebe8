//! Events as sources really write them, on a real Kafka: every attachment is found, every byte is kept, and what could not be
//! read as an attachment is reported by metrics, log and `reconcile`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use xact_testkit::Result;
use xact_testkit::command::wait_no_lag_of;
use xact_testkit::events::RAW;
use xact_testkit::pipeline::read_tables;
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Operator, kcat};

const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);
const LONG_AGO: [&str; 4] = ["--from", "2024-01-01", "--to", "2025-01-01"];

fn url(trace_id: &str) -> String {
    format!("https://claimxperience.com/ok/2000/{trace_id}/a.pdf?{SIGNED}")
}

/// An event by its trace id: the text, with `URL` in place of its attachment.
const EVENTS: [(&str, &str); 8] = [
    (
        "null-outside",
        r#"{"trace_id":"null-outside","event_type":"x","timestamp":"2024-12-31T12:00:00Z","attachments":null,"payload":{"assignmentId":"A1","attachments":["URL"]}}"#,
    ),
    (
        "empty-payload",
        r#"{"traceId":"empty-payload","type":"a.x","utcDateTime":"2024-12-31T12:00:00Z","payload":{},"attachments":[],"data":"{\"assignmentId\":\"A1\",\"attachments\":[\"URL\"]}"}"#,
    ),
    (
        "pascal-case",
        r#"{"TraceId":"pascal-case","EventType":"x","Timestamp":"2024-12-31T12:00:00Z","Payload":{"AssignmentId":"A1","Attachments":["URL"],"ADM":{"CoverageLoss":{"ClaimNumber":"CL"}}}}"#,
    ),
    (
        "marked",
        "\u{FEFF}{ \"trace_id\" : \"marked\", \"event_type\":\"x\", \"timestamp\" : 1735646400000000,\r\n \"payload\":{\"assignmentId\":\"A1\",\"note\":123456789012345678901,\"author\":\"cut \\ud83d\",\"amount\":0.10},\"attachments\":[\"URL\"]}\n",
    ),
    (
        "renamed",
        r#"{"trace_id":"renamed","event_type":"x","timestamp":"2024-12-31T12:00:00Z","payload":{"assignmentId":"A1","documents":[{"href":"URL"}]}}"#,
    ),
    (
        "linked",
        r#"{"trace_id":"linked","event_type":"x","timestamp":"2024-12-31T12:00:00Z","payload":{"assignmentId":"A1","links":{"self":"https://h/linked"}},"attachments":["URL"]}"#,
    ),
    (
        "twice-named",
        r#"{"trace_id":"twice-named","event_type":"x","timestamp":"2024-12-31T12:00:00Z","payload":{"assignmentId":"other","assignmentId":"A1"},"attachments":["URL"]}"#,
    ),
    (
        "minimum-date",
        r#"{"trace_id":"minimum-date","event_type":"x","timestamp":"0001-01-01T00:00:00","payload":{"assignmentId":"A1"},"attachments":["URL"]}"#,
    ),
];

fn sent(trace_id: &str, text: &str) -> String {
    text.replace("URL", &url(trace_id))
}

/// Rows by trace id.
fn by_trace_id(rows: &[Value]) -> BTreeMap<String, Value> {
    let rows = rows.iter();
    rows.map(|row| (row["trace_id"].as_str().unwrap().to_owned(), row.clone()))
        .collect()
}

#[test]
fn every_attachment_is_found_or_reported_and_every_byte_is_kept() -> Result<()> {
    let mut operator = Operator::start("irregular")?;
    operator.run(&["topics", "create"])?.success()?;
    operator
        .environment
        .push(("IGNORED_URL_PATHS".into(), "$.payload.links.*".into()));
    for (trace_id, text) in EVENTS {
        kcat::produce(
            operator.kafka.bootstrap(),
            RAW,
            trace_id,
            sent(trace_id, text).as_bytes(),
        )?;
    }
    kcat::produce(
        operator.kafka.bootstrap(),
        RAW,
        "no-event",
        b"{\"documents\":[\"https://h/a.pdf\"]}",
    )?;
    let mut running = operator.pipeline()?;
    wait_no_lag_of(DONE, &operator.environment, &operator.dir)?;

    let metrics = running.metrics()?;
    for (kind, count) in [
        ("unlisted_url", 1.0),
        ("refused_timestamp", 1.0),
        ("repeated_name", 1.0),
    ] {
        assert_eq!(
            metrics.sum("kafka_event_irregularities_total", &[("kind", kind)]),
            count,
            "{kind}"
        );
    }
    let log = running.process.log();
    for told in [
        "$.payload.documents[*].href",
        "$.payload.assignmentId",
        "0001-01-01T00:00:00",
    ] {
        let lines = log
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(told))
            .count();
        assert_eq!(lines, 1, "{told}: {log}");
    }
    xact_testkit::secrets::assert_none("the log", &log);
    assert_eq!(running.terminate(STOPPED)?, Some(0));

    let tables = read_tables(&operator.dir.join("tables"))?;
    let (events, attachments) = (by_trace_id(&tables.events), by_trace_id(&tables.attachments));
    for (trace_id, text) in EVENTS {
        let written = sent(trace_id, text).replace(&format!("?{SIGNED}"), "");
        let written = written.trim_start_matches('\u{FEFF}');
        assert_eq!(events[trace_id]["raw_json"], written, "{trace_id}");
        assert_eq!(attachments.contains_key(trace_id), trace_id != "renamed", "{trace_id}");
        assert_eq!(events[trace_id]["assignment_id"], "A1", "{trace_id}");
    }
    assert_eq!(tables.failed, Vec::<Value>::new());
    let marked = &events["marked"];
    assert_eq!(
        (&marked["note"], &marked["author"], &marked["event_date"]),
        (
            &json!("123456789012345678901"),
            &json!("cut \u{FFFD}"),
            &json!("2024-12-31")
        )
    );
    assert_eq!(events["pascal-case"]["claim_number"], "CL");
    let today = &events["minimum-date"]["event_date"];
    assert_eq!(today, &attachments["minimum-date"]["event_date"]);
    assert!(today.as_str().unwrap() > "2026", "{today}");

    // By the raw topic and by the table: the same answer, and never that all is well.
    let answer = operator.run(&[&["reconcile", "--json"], &LONG_AGO[..]].concat())?;
    let object = answer.json_lines().pop().unwrap();
    assert_eq!((answer.code, &object["missing"]), (Some(1), &json!([])), "{object}");
    assert_eq!(object["unlisted_urls"], json!({"$.payload.documents[*].href": 1}));
    let answer = operator.run(&[&["reconcile"], &LONG_AGO[..]].concat())?;
    assert!(answer.text.contains("IGNORED_URL_PATHS"), "{}", answer.text);
    assert!(!answer.text.contains("exactly one place"), "{}", answer.text);
    // What is not an event is told of on the day of its record.
    let from = today.as_str().unwrap();
    let answer = operator.run(&["reconcile", "--from", from, "--to", "2100-01-01"])?;
    assert_eq!(answer.code, Some(0), "{}", answer.text);
    assert!(answer.text.contains("Unreadable records: 1;"), "{}", answer.text);
    Ok(())
}
