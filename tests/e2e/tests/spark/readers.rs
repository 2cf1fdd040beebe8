//! Spark 3.5 and 4, DuckDB, polars and Python's deltalake read every column of every row of every table and return the same
//! values, whatever the events and results contain.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use xact_testkit::spark::Line;
use xact_testkit::{Fleet, Result, Spark, duckdb, ids};

/// Texts as JSON spells them.
const TEXTS: &[&str] = &[
    r#""""#,
    r#"" ""#,
    r#""NULL""#,
    r#""a\u0000b""#,
    r#""\u0001\u0008\u001b]0;owned\u0007\u007f\u0080\u009f""#,
    r#""line one\r\nline \"two\"\tand\\three""#,
    r#""\ufeffmark""#,
    r#""\u202eright to left\u2066""#,
    r#""\ud83d\ude00 \ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67 e\u0301 \u0130\u0131""#,
    r#""\uffff\ufffe\ufdd0\udbff\udfff""#,
    r#""a cut emoji \ud83d""#,
    r#""\udc00\ud800""#,
    r#""'; DROP TABLE xact_events; --""#,
    r#""=cmd|' /C calc'!A0""#,
    r#""__HIVE_DEFAULT_PARTITION__""#,
    "true",
    "[1,[2,[3]]]",
    r#"{"a":{"b":null}}"#,
    "0.10",
    "-0",
    "1e400",
    "123456789012345678901234567890",
    "-9223372036854775809",
    "18446744073709551616",
    "1.7976931348623157e308",
    "5e-324",
];

/// Timestamps as JSON spells them.
const TIMESTAMPS: &[&str] = &[
    r#""2024-12-31T12:00:00Z""#,
    r#""2024-12-31T23:30:00.123456789-02:00""#,
    r#""2024-12-31 12:00:00 +00:00""#,
    r#""2024-12-31 12:00:00""#,
    r#""2024-12-31T12:00""#,
    r#""2024-12-31""#,
    r#""2024-W52-2""#,
    r#""2024-366""#,
    r#""0001-01-01T00:00:00""#,
    r#""0001-01-01T00:00:00Z""#,
    r#""0000-12-31T23:59:59Z""#,
    r#""-0044-03-15T00:00:00Z""#,
    r#""1582-10-14T00:00:00Z""#,
    r#""1899-12-30T00:00:00Z""#,
    r#""1899-12-31T23:59:59.999999Z""#,
    r#""1969-12-31T23:59:59.999999Z""#,
    r#""1970-01-01T00:00:00Z""#,
    r#""2016-12-31T23:59:60Z""#,
    r#""2038-01-19T03:14:08Z""#,
    r#""2099-12-31T23:59:59.999999Z""#,
    r#""2100-01-01T00:00:00Z""#,
    r#""9999-12-31T23:59:59.999999Z""#,
    r#""+10000-01-01T00:00:00Z""#,
    r#""Tue, 31 Dec 2024 12:00:00 +0000""#,
    r#""/Date(1735646400000)/""#,
    r#""/Date(-62135596800000)/""#,
    r#""12/31/2024 12:00:00 AM""#,
    r#""yesterday""#,
    r#""""#,
    "null",
    "true",
    "[]",
    "0",
    "-1",
    "-62135596800",
    "1735646400",
    "1735646400123",
    "1735646400123456",
    "1735646400123456789",
    r#""1735646400""#,
    "1735646400.5",
    "253402300799999",
    "9223372036854775807",
    "1e300",
];

/// Returns an event with the same text in every column that has a place in the event.
fn event_of_text(trace_id: &str, text: &str) -> String {
    let names = [
        "description",
        "originalAssignmentId",
        "xnAddress",
        "carrierId",
        "estimateVersion",
        "note",
        "author",
        "senderReviewerName",
        "senderReviewerEmail",
        "carrierReviewerName",
        "carrierReviewerEmail",
        "dateTime",
    ];
    let payload: Vec<String> = names.iter().map(|name| format!("{name:?}:{text}")).collect();
    let contact = format!(
        r#"{{"type":{text},"name":{text},"contactMethods":{{"phone":{{"type":{text},"number":{text},"extension":{text}}},"email":{{"address":{text}}}}}}}"#
    );
    format!(
        r#"{{"trace_id":{trace_id:?},"event_type":"documentsReceived","timestamp":"2024-12-31T12:00:00Z","source_system":{text},"payload":{{"assignmentId":"A1",{},"adm":{{"coverageLoss":{{"claimNumber":{text}}}}},"contact":{contact}}}}}"#,
        payload.join(",")
    )
}

fn event_of_timestamp(trace_id: &str, timestamp: &str) -> String {
    format!(
        r#"{{"trace_id":{trace_id:?},"event_type":"documentsReceived","timestamp":{timestamp},"payload":{{"assignmentId":"A1"}}}}"#
    )
}

/// Returns a result that the upload stage would never send.
fn result(id: &str, status: &str, text: &str, timestamp: &str) -> String {
    let text = if text.starts_with('"') { text } else { "null" };
    let media_id = ids::media_id(id, "");
    format!(
        r#"{{"trace_id":{id:?},"media_id":{media_id:?},"attachment_url":"https://claimxperience.com/{id}.pdf","blob_path":"documentsReceived/A1/{id}/a.pdf","status_subtype":"documentsReceived","file_type":"PDF","assignment_id":"A1","status":{status:?},"bytes_downloaded":9223372036854775807,"sha256":"00","content_type":{text},"error_category":"permanent","error_message":{text},"http_status":404,"original_timestamp":{timestamp},"downloaded_at":{timestamp},"created_at":{timestamp}}}"#
    )
}

/// Returns the rows of a table in a fixed order.
fn in_order(rows: &[Value]) -> Vec<BTreeMap<String, Value>> {
    let map = |row: &Value| row.as_object().unwrap().clone().into_iter().collect();
    let mut rows: Vec<BTreeMap<String, Value>> = rows.iter().map(map).collect();
    rows.sort_by_key(|row| serde_json::to_string(row).unwrap());
    rows
}

/// Returns minimum and maximum of every column, and the number of rows of each date, computed from the rows.
fn expected(rows: &[Value]) -> (Map<String, Value>, Map<String, Value>) {
    let mut extremes = Map::new();
    let mut by_date: BTreeMap<String, u64> = BTreeMap::new();
    let columns = rows.first().and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for column in columns {
        let values = rows.iter().map(|row| &row[column]);
        let mut values: Vec<&Value> = values.filter(|value| !value.is_null()).collect();
        values.sort_by(|a, b| match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => a.as_i64().cmp(&b.as_i64()),
        });
        let value = |value: Option<&&Value>| value.map_or(Value::Null, |value| (*value).clone());
        extremes.insert(format!("min {column}"), value(values.first()));
        extremes.insert(format!("max {column}"), value(values.last()));
    }
    for row in rows {
        let date = row["event_date"].as_str().unwrap().to_owned();
        *by_date.entry(date).or_default() += 1;
    }
    let by_date = by_date.into_iter().map(|(date, rows)| (date, rows.into()));
    (extremes, by_date.collect())
}

#[test]
fn every_engine_reads_the_same_rows_for_every_hostile_value() -> Result<()> {
    let mut fleet = Fleet::shared("readers", &[])?;
    fleet.start(&["event-ingester", "event-writer", "result-processor", "dlq"])?;
    let mut events = Vec::new();
    let mut results = Vec::new();
    for (number, text) in TEXTS.iter().enumerate() {
        let id = format!("text-{number}");
        events.push((id.clone(), event_of_text(&id, text).into_bytes()));
        for status in ["completed", "failed_permanent"] {
            let id = format!("{id}-{status}");
            results.push((id.clone(), result(&id, status, text, TIMESTAMPS[0]).into_bytes()));
        }
    }
    for (number, timestamp) in TIMESTAMPS.iter().enumerate() {
        let id = format!("time-{number}");
        events.push((id.clone(), event_of_timestamp(&id, timestamp).into_bytes()));
        for status in ["completed", "failed_permanent"] {
            let id = format!("{id}-{status}");
            results.push((id.clone(), result(&id, status, "null", timestamp).into_bytes()));
        }
    }
    fleet.send_all("raw", events.iter().map(|(key, value)| (key, value)))?;
    fleet.send_all("results", results.iter().map(|(key, value)| (key, value)))?;
    fleet.wait_no_lag()?;

    let tables = fleet.tables()?;
    let letters = fleet.messages("dlq")?;
    let letters_of = |topic: &str| {
        let topic = json!(fleet.topic(topic));
        let of_topic = letters.iter().filter(|letter| letter["source"]["topic"] == topic);
        of_topic.count()
    };
    // Each event and each result is a row or a dead letter.
    assert_eq!(tables.events.len() + letters_of("raw"), events.len());
    let rows = tables.attachments.len() + tables.failed.len();
    assert_eq!(rows + letters_of("results"), results.len());
    assert!(tables.events.len() > 40 && rows > 60, "{} {rows}", tables.events.len());

    for (name, rows) in [
        ("xact_events", &tables.events),
        ("xact_attachments", &tables.attachments),
        ("xact_attachments_failed", &tables.failed),
    ] {
        let path = fleet.dir.join("tables").join(name);
        let by_spark = Line::ALL.map(|line| {
            let rows = Spark::shared(line).and_then(|mut spark| spark.read(&path));
            (format!("{line:?}"), rows)
        });
        let by_duckdb = ("DuckDB".to_owned(), duckdb::read(&path));
        let (extremes, by_date) = expected(rows);
        for (reader, read) in by_spark.into_iter().chain([by_duckdb]) {
            let read = read?;
            let found = in_order(read["rows"].as_array().unwrap());
            for (found, expected) in found.iter().zip(in_order(rows)) {
                assert_eq!(*found, expected, "{name} by {reader}");
            }
            assert_eq!(found.len(), rows.len(), "{name} by {reader}");
            assert_eq!(read["extremes"], Value::from(extremes.clone()), "{name} by {reader}");
            assert_eq!(read["by_date"], Value::from(by_date.clone()), "{name} by {reader}");
        }
    }
    Ok(())
}
