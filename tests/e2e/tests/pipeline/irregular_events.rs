//! Events as sources really write them, on a real Kafka: every attachment is found, every byte is kept, and what could not be
//! read as an attachment is reported by metrics, log and `reconcile`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, Kafka, Result, assert_contains};

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

/// Returns rows by trace id.
fn by_trace_id(rows: &[Value]) -> BTreeMap<&str, &Value> {
    rows.iter()
        .map(|row| (row["trace_id"].as_str().unwrap(), row))
        .collect()
}

#[test]
fn every_attachment_is_found_or_reported_and_every_byte_is_kept() -> Result<()> {
    let kafka = Kafka::start()?;
    let settings = [("IGNORED_URL_PATHS", "$.payload.links.*")];
    let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &settings)?;
    for (trace_id, text) in EVENTS {
        fleet.send("raw", trace_id, sent(trace_id, text).as_bytes())?;
    }
    fleet.send("raw", "no-event", b"{\"documents\":[\"https://h/a.pdf\"]}")?;
    fleet.start_pipeline()?;
    fleet.wait_no_lag()?;

    let metrics = fleet["pipeline"].metrics()?;
    for kind in ["unlisted_url", "refused_timestamp", "repeated_name"] {
        let count = metrics.sum("kafka_event_irregularities_total", &[("kind", kind)]);
        assert_eq!(count, 1.0, "{kind}");
    }
    let warnings = fleet["pipeline"].warnings_after(0);
    for reported in [
        "$.payload.documents[*].href",
        "$.payload.assignmentId",
        "0001-01-01T00:00:00",
    ] {
        let lines = warnings.iter().filter(|line| line.contains(reported)).count();
        assert_eq!(lines, 1, "{reported}: {warnings:#?}");
    }
    fleet.stop(&["pipeline"])?;

    let tables = fleet.tables()?;
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
        [&marked["note"], &marked["author"], &marked["event_date"]],
        ["123456789012345678901", "cut \u{FFFD}", "2024-12-31"]
    );
    assert_eq!(events["pascal-case"]["claim_number"], "CL");
    let today = &events["minimum-date"]["event_date"];
    assert_eq!(today, &attachments["minimum-date"]["event_date"]);
    assert!(today.as_str().unwrap() > "2026", "{today}");

    // By the raw topic and by the table: the same answer, and never that all is well.
    let answer = fleet.run(&[&["reconcile", "--json"], &LONG_AGO[..]].concat())?;
    let object = answer.json_lines().pop().unwrap();
    assert_eq!((answer.code, &object["missing"]), (Some(1), &json!([])), "{object}");
    assert_eq!(object["unlisted_urls"], json!({"$.payload.documents[*].href": 1}));
    let answer = fleet.run(&[&["reconcile"], &LONG_AGO[..]].concat())?;
    assert_contains(&answer.text, &["IGNORED_URL_PATHS"]);
    assert!(!answer.text.contains("exactly one place"), "{}", answer.text);
    // What is not an event is reported for the day of its record.
    let range = ["--from", today.as_str().unwrap(), "--to", "2100-01-01"];
    let answer = fleet.run(&[&["reconcile"], &range[..]].concat())?;
    answer.ended_with(0, &["Unreadable records: 1;"]).map(drop)
}
