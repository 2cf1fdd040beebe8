//! Rows are read as they were written, by this crate and by others.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use jiff::civil::date;

use support::*;
use xact_lake::arrow::array::AsArray;
use xact_lake::arrow::compute::concat_batches;
use xact_lake::arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use xact_lake::{AttachmentRow, EventRow, FailedRow, TableRow};

/// An event whose texts contain characters that are hard to encode.
fn event(event_id: &str) -> EventRow {
    let text = |text: &str| Some(text.to_owned());
    EventRow {
        event_id: event_id.to_owned(),
        trace_id: text("with \0 NUL and \u{1F600}"),
        r#type: text("verisk.claims.property.xn.documentsReceived"),
        status_subtype: text("documentsReceived"),
        version: text("2"),
        event_date: DAY,
        event_timestamp: noon(),
        ingested_at: "1969-12-31T23:59:59.999999Z".parse().unwrap(),
        description: text(""),
        assignment_id: text("A123"),
        original_assignment_id: None,
        xn_address: text("line one\r\nline \"two\""),
        carrier_id: None,
        estimate_version: text("1"),
        note: text("17"),
        author: None,
        sender_reviewer_name: None,
        sender_reviewer_email: None,
        carrier_reviewer_name: None,
        carrier_reviewer_email: None,
        event_datetime_mdt: text("2024-12-31T05:00:00"),
        attachments: text("https://a/b.pdf,https://a/c.pdf"),
        claim_number: text("C-1"),
        contact_type: None,
        contact_name: text("Zoë"),
        contact_phone_type: None,
        contact_phone_number: None,
        contact_phone_extension: None,
        contact_email_address: None,
        source_system: text("test"),
        raw_json: Some(format!("{{\"big\":\"{}\"}}", "x".repeat(100_000))),
    }
}

#[tokio::test]
async fn rows_are_read_with_every_value_and_the_types_of_the_table() {
    let (_folder, location) = folder();
    let table = table::<EventRow>(&location);
    let rows = [
        event("a"),
        EventRow {
            event_date: date(2025, 1, 1),
            note: None,
            ..event("b\0b")
        },
    ];
    table.append(unsourced(rows.clone()), none()).await.unwrap();

    let batches = table.scan(&[]).await.unwrap();
    let read = concat_batches(batches[0].schema_ref(), &batches).unwrap();
    let mut expected = EventRow::to_record_batch(&rows.iter().collect::<Vec<_>>()).unwrap();
    if read.column(0).as_string::<i32>().value(0) != "a" {
        expected = EventRow::to_record_batch(&rows.iter().rev().collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(read, expected);
    assert_eq!(
        read.schema().field_with_name("event_timestamp").unwrap().data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
}

#[tokio::test]
async fn rows_written_and_read_by_the_week_keep_their_dates_apart() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let rows = (1..=7).map(|day| AttachmentRow {
        event_date: date(2025, 3, day),
        ..attachment(&format!("day {day}"))
    });
    table.append(unsourced(rows), none()).await.unwrap();
    let batches = table
        .scan_dates(&["media_id"], date(2025, 3, 2), date(2025, 3, 4))
        .await
        .unwrap();
    let mut ids: Vec<String> = batches.iter().flat_map(|batch| strings(batch, "media_id")).collect();
    ids.sort();
    assert_eq!(ids, ["day 2", "day 3", "day 4"]);
    assert_eq!(
        table
            .scan_dates(&["media_id"], date(2025, 4, 1), date(2025, 4, 2))
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn a_batch_of_many_dates_is_written_completely() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let rows: Vec<AttachmentRow> = (0..60)
        .map(|n| AttachmentRow {
            event_date: date(1 + 400 * (n % 20), 1 + (n % 12) as i8, 28),
            ..attachment(&format!("{n:02}"))
        })
        .chain([AttachmentRow {
            event_date: date(9999, 12, 31),
            ..attachment("60")
        }])
        .collect();
    let added = table.append(unsourced(rows.clone()), none()).await.unwrap().added;
    assert_eq!(added, 61);
    let expected: Vec<String> = (0..61).map(|n| format!("{n:02}")).collect();
    assert_eq!(texts(&table, "media_id").await, expected);
    assert_eq!(
        counts(&table.append(unsourced(rows), none()).await.unwrap()),
        (0, 0, 61)
    );
}

#[tokio::test]
async fn columns_are_returned_in_the_requested_order_with_the_date_added() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    table.append(unsourced([attachment("a")]), none()).await.unwrap();
    let batch = table
        .scan(&["retry_count", "bytes_downloaded", "created_at"])
        .await
        .unwrap()
        .remove(0);
    let names: Vec<&str> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["retry_count", "bytes_downloaded", "created_at", "event_date"]);
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().value(0), 0);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 5_000_000_000);
    assert_eq!(
        batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0),
        noon().as_microsecond()
    );
    assert_eq!(batch.column(3).as_primitive::<Date32Type>().value(0), 20_088);
    assert!(table.scan(&["no such"]).await.is_err());
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_empty_and_is_not_created() {
    let (_folder, location) = folder();
    let table = table::<FailedRow>(&location);
    assert!(table.scan(&["media_id"]).await.unwrap().is_empty());
    assert!(table.positions(&[APP.into()]).await.unwrap().is_empty());
    assert!(
        table
            .existing_keys(DAY, &[xact_lake::Key::with_replay("a", 0)])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!local(&location).exists());
}

#[tokio::test]
async fn the_probe_leaves_no_file() {
    let (_folder, location) = folder();
    let table = table::<FailedRow>(&location);
    table.probe().await.unwrap();
    assert_eq!(std::fs::read_dir(local(&location)).unwrap().count(), 0);
    table.append(unsourced([failed("a", 0)]), none()).await.unwrap();
    table.probe().await.unwrap();
    assert_eq!(
        std::fs::read_dir(local(&location)).unwrap().count(),
        2,
        "the log and one date"
    );
}

#[tokio::test]
async fn the_schemas_are_those_of_the_specification() {
    let names = |fields: Vec<deltalake::kernel::StructField>| {
        fields
            .iter()
            .map(|field| field.name().clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names(EventRow::delta_schema()),
        "event_id trace_id type status_subtype version event_date event_timestamp ingested_at description assignment_id \
         original_assignment_id xn_address carrier_id estimate_version note author sender_reviewer_name sender_reviewer_email \
         carrier_reviewer_name carrier_reviewer_email event_datetime_mdt attachments claim_number contact_type contact_name \
         contact_phone_type contact_phone_number contact_phone_extension contact_email_address source_system raw_json"
    );
    assert_eq!(
        names(AttachmentRow::delta_schema()),
        "media_id trace_id attachment_url blob_path file_type status_subtype assignment_id content_type declared_content_type sha256 bytes_downloaded \
         retry_count downloaded_at created_at event_date"
    );
    assert_eq!(
        names(FailedRow::delta_schema()),
        "media_id trace_id attachment_url status_subtype assignment_id error_category error_message http_status retry_count \
         replay_count failed_at created_at event_date"
    );
    let required: Vec<String> = EventRow::delta_schema()
        .into_iter()
        .filter(|field| !field.is_nullable())
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(required, ["event_id", "event_date", "event_timestamp", "ingested_at"]);
}
