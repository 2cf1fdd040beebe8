//! An event without a timestamp has one row, even if it is sent several times.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::Timestamp;

use event_writer::EventWriter;
use xact_contracts::messages::{Event, Message, SourceRecord};
use xact_lake::arrow::array::{AsArray, RecordBatch};
use xact_lake::arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use xact_lake::{EventRow, Location, Table, TableOptions};
use xact_runtime::{Batch, BatchHandler, Context, Delivered};
use xact_table_sink::TableSink;

const TOPIC: &str = "xact.events.raw";
const APP: &str = "xact-event-writer:xact.events.raw:0";

fn record(offset: i64, text: &str, written: &str) -> Delivered<Event> {
    let record_timestamp: Option<Timestamp> = written.parse().ok();
    Delivered {
        input: Event::decode(text.as_bytes()).unwrap(),
        source: SourceRecord {
            topic: TOPIC.to_owned(),
            partition: 0,
            offset,
            timestamp: record_timestamp,
        },
        record_timestamp,
        app_id: Some(APP.into()),
    }
}

async fn write(writer: &EventWriter, records: &[Delivered<Event>]) {
    let batch = Batch {
        records: records.iter().collect(),
        positions: BTreeMap::from([(APP.into(), records.last().unwrap().source.offset + 1)]),
    };
    let context = Context {
        now: "2026-03-01T00:00:00Z".parse().unwrap(),
        record_timestamp: None,
    };
    assert!(writer.handle(&batch, &context).await.unwrap().is_empty());
}

/// Returns trace id, days since 1970 and seconds since 1970 of each row.
fn rows(batches: &[RecordBatch]) -> Vec<(&str, i32, i64)> {
    let mut rows = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_string::<i32>();
        let dates = batch.column(1).as_primitive::<Date32Type>();
        let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        rows.extend((0..batch.num_rows()).map(|row| (ids.value(row), dates.value(row), times.value(row) / 1_000_000)));
    }
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn the_first_record_decides_its_date() {
    let folder = tempfile::tempdir().unwrap();
    let table = || {
        let location = Location::parse(folder.path().join("xact_events").to_str().unwrap()).unwrap();
        Table::<EventRow>::new(location, TableOptions::default())
    };
    let without = r#"{"trace_id":"without","type":"x"}"#;
    let refused = r#"{"trace_id":"refused","type":"x","timestamp":"0001-01-01T00:00:00"}"#;
    let dated = r#"{"trace_id":"dated","type":"x","timestamp":"2026-02-01T00:00:00Z"}"#;
    let (day, later) = ("2026-02-10T12:00:00Z", "2026-02-20T12:00:00Z");
    for batch in [
        vec![
            record(0, without, day),
            record(1, refused, day),
            record(2, dated, day),
            record(3, refused, "2026-02-11T12:00:00Z"),
        ],
        // Another process on another day.
        vec![
            record(4, without, later),
            record(5, refused, later),
            record(6, dated, later),
        ],
    ] {
        write(&EventWriter::with_table(TableSink::of(table())), &batch).await;
    }
    let columns = ["trace_id", "event_date", "event_timestamp"];
    let found = table().scan(&columns).await.unwrap();
    let noon = 1_770_724_800;
    let expected = [
        ("dated", 20_485, 1_769_904_000),
        ("refused", 20_494, noon),
        ("without", 20_494, noon),
    ];
    assert_eq!(rows(&found), expected);
}
