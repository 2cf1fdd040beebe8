//! Rows are read as they were written, by this crate and by others.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use deltalake::kernel::StructField;
use jiff::civil::date;

use support::*;
use xact_lake::arrow::array::{AsArray, RecordBatch};
use xact_lake::arrow::compute::concat_batches;
use xact_lake::arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use xact_lake::{AttachmentRow, DateFile, EventRow, FailedRow, Key, TableRow};

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
    let (_folder, _, table) = new_table();
    let rows = [
        event("a"),
        EventRow {
            event_date: date(2025, 1, 1),
            note: None,
            ..event("b\0b")
        },
    ];
    add(&table, rows.clone()).await;

    // Each is in a file of its own date, in any order.
    let mut batches = table.scan(&[]).await.unwrap();
    batches.sort_by_key(|batch| strings(batch, "event_id"));
    let read = concat_batches(batches[0].schema_ref(), &batches).unwrap();
    assert_eq!(read, EventRow::to_record_batch(&[&rows[0], &rows[1]]).unwrap());
    assert_eq!(
        read.schema().field_with_name("event_timestamp").unwrap().data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
}

#[tokio::test]
async fn rows_of_one_date_are_read_without_those_of_others() {
    let (_folder, _, table) = new_table();
    let rows = (1..=7).map(|day| attachment_of(date(2025, 3, day), &format!("day {day}")));
    add(&table, rows).await;
    for (day, expected) in [(date(2025, 3, 2), vec!["day 2"]), (date(2025, 4, 1), vec![])] {
        let mut ids = Vec::new();
        let visit = |batch: &RecordBatch| ids.extend(strings(batch, "media_id"));
        table.for_each_batch(&["media_id"], day, visit).await.unwrap();
        assert_eq!(ids, expected);
    }
}

#[tokio::test]
async fn files_of_one_date_are_told_from_the_log_and_only_the_wanted_ones_are_read() {
    let (_folder, _, table) = new_table();
    let day = date(2025, 3, 2);
    for name in ["first", "second"] {
        add(
            &table,
            [attachment_of(day, name), attachment_of(date(2025, 3, 1), name)],
        )
        .await;
    }
    let read = async |known: &[String]| {
        let mut ids = Vec::new();
        let is_wanted = |file: &DateFile| !known.contains(&file.path);
        let visit = |_: &DateFile, batch: &RecordBatch| ids.extend(strings(batch, "media_id"));
        let files = table.visit_files(&["media_id"], day, is_wanted, visit).await.unwrap();
        (files, ids)
    };
    let (files, mut ids) = read(&[]).await;
    ids.sort_unstable();
    assert_eq!(ids, ["first", "second"]);
    assert!(files.iter().all(|file| file.rows == Some(1) && file.bytes > 0));
    assert!(files.is_sorted_by_key(|file| std::cmp::Reverse(file.written_at)));
    let (again, ids) = read(&[files[0].path.clone()]).await;
    assert_eq!((again, ids.len()), (files.clone(), 1));
    assert!(read(&[files[0].path.clone(), files[1].path.clone()]).await.1.is_empty());
}

#[tokio::test]
async fn a_batch_of_many_dates_is_written_completely() {
    let (_folder, _, table) = new_table();
    let day = |n: i16| match n {
        60 => date(9999, 12, 31),
        n => date(1 + 400 * (n % 20), 1 + (n % 12) as i8, 28),
    };
    let rows = || (0..61).map(|n| attachment_of(day(n), &format!("{n:02}")));
    assert_eq!(add(&table, rows()).await, (61, 0, 0));
    let expected: Vec<String> = rows().map(|row| row.media_id).collect();
    assert_eq!(texts(&table, "media_id").await, expected);
    assert_eq!(add(&table, rows()).await, (0, 0, 61));
}

#[tokio::test]
async fn columns_are_returned_in_the_requested_order_with_the_date_added() {
    let (_folder, _, table) = new_table();
    add(&table, [attachment("a")]).await;
    let columns = ["retry_count", "bytes_downloaded", "created_at"];
    let batch = table.scan(&columns).await.unwrap().remove(0);
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    assert!(names.eq(columns.into_iter().chain(["event_date"])));
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().value(0), 0);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 5_000_000_000);
    let created_at = batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(created_at, noon().as_microsecond());
    assert_eq!(batch.column(3).as_primitive::<Date32Type>().value(0), 20_088);
    assert!(table.scan(&["no such"]).await.is_err());
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_empty_and_is_not_created() {
    let (_folder, location, table) = new_table::<FailedRow>();
    assert!(table.scan(&["media_id"]).await.unwrap().is_empty());
    assert!(positions(&table).await.is_empty());
    let keys = [Key::with_replay("a", 0)];
    assert!(table.existing_keys(DAY, &keys).await.unwrap().is_empty());
    assert!(!local(&location).exists());
}

#[tokio::test]
async fn the_probe_leaves_no_file() {
    let (_folder, location, table) = new_table();
    table.probe().await.unwrap();
    assert_eq!(names_in(&local(&location)), [""; 0]);
    add(&table, [failed("a", 0)]).await;
    table.probe().await.unwrap();
    assert_eq!(names_in(&local(&location)), ["_delta_log", "event_date=2024-12-31"]);
}

#[tokio::test]
async fn the_schemas_are_those_of_the_specification() {
    fn names(fields: &[StructField]) -> String {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        names.join(" ")
    }
    assert_eq!(
        names(&EventRow::delta_schema()),
        "event_id trace_id type status_subtype version event_date event_timestamp ingested_at description assignment_id \
         original_assignment_id xn_address carrier_id estimate_version note author sender_reviewer_name sender_reviewer_email \
         carrier_reviewer_name carrier_reviewer_email event_datetime_mdt attachments claim_number contact_type contact_name \
         contact_phone_type contact_phone_number contact_phone_extension contact_email_address source_system raw_json"
    );
    assert_eq!(
        names(&AttachmentRow::delta_schema()),
        "media_id trace_id attachment_url blob_path file_type status_subtype assignment_id content_type declared_content_type sha256 bytes_downloaded \
         retry_count downloaded_at created_at event_date"
    );
    assert_eq!(
        names(&FailedRow::delta_schema()),
        "media_id trace_id attachment_url status_subtype assignment_id error_category error_message http_status retry_count \
         replay_count failed_at created_at event_date"
    );
    let mut required = EventRow::delta_schema();
    required.retain(|field| !field.is_nullable());
    assert_eq!(names(&required), "event_id event_date event_timestamp ingested_at");
}
