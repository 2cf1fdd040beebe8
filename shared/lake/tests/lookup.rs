//! Lookups of keys: their cost, and that they work for files of other programs.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use deltalake::DeltaTableBuilder;
use deltalake::kernel::{DataType, StructField};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use jiff::civil::date;

use support::faulty_store::Faults;
use support::*;
use xact_lake::arrow::array::Array;
use xact_lake::{AttachmentRow, Location, Table, TableRow};

/// Opens the table like another program.
async fn opened_by_others(location: &Location) -> deltalake::DeltaTable {
    let url = url::Url::from_directory_path(local(location)).unwrap();
    DeltaTableBuilder::from_url(url).unwrap().load().await.unwrap()
}

#[tokio::test]
async fn a_lookup_opens_no_file_of_another_date_and_no_file_twice() {
    let (_folder, location) = folder();
    let writer = table::<AttachmentRow>(&location);
    for n in 0..4 {
        let other = AttachmentRow {
            event_date: date(2025, 1, 1),
            ..attachment(&format!("o{n}"))
        };
        writer
            .append(unsourced([attachment(&format!("a{n}")), other]), none())
            .await
            .unwrap();
    }
    let plan = Faults::new([]);
    let table = Table::<AttachmentRow>::new(location.clone(), plan.options());

    table.append(unsourced([attachment("new 1")]), none()).await.unwrap();
    let mut reads = plan.reads();
    assert!(
        reads.iter().all(|file| file.contains("event_date=2024-12-31")),
        "{reads:?}"
    );
    reads.dedup();
    reads.sort();
    reads.dedup();
    assert_eq!(reads.len(), 4, "every file of the date is searched");

    table.append(unsourced([attachment("new 2")]), none()).await.unwrap();
    assert_eq!(plan.reads(), [""; 0], "only its own file was added since");

    writer.append(unsourced([attachment("a4")]), none()).await.unwrap();
    table.append(unsourced([attachment("new 3")]), none()).await.unwrap();
    assert_eq!(
        plan.reads().len(),
        1,
        "one request for a file that another writer added"
    );

    table
        .append(unsourced([attachment("new 4"), attachment("a2")]), none())
        .await
        .unwrap();
    let mut reads = plan.reads();
    reads.sort();
    reads.dedup();
    assert_eq!(reads.len(), 1, "the one whose filter matches: {reads:?}");
}

#[tokio::test]
async fn keys_in_files_without_a_filter_are_found() {
    let (_folder, location) = folder();
    let one = table::<AttachmentRow>(&location);
    one.append(unsourced([attachment("ours")]), none()).await.unwrap();

    let mut others = opened_by_others(&location).await;
    let mut writer = RecordBatchWriter::for_table(&others).unwrap();
    writer
        .write(AttachmentRow::to_record_batch(&[&attachment("theirs")]).unwrap())
        .await
        .unwrap();
    writer.flush_and_commit(&mut others).await.unwrap();

    let rows = || unsourced(["ours", "theirs", "new"].map(attachment));
    assert_eq!(counts(&one.append(rows(), none()).await.unwrap()), (1, 0, 2));
    assert_eq!(
        counts(&table::<AttachmentRow>(&location).append(rows(), none()).await.unwrap()),
        (0, 0, 3)
    );
}

#[tokio::test]
async fn a_column_that_another_program_added_is_filled_with_null() {
    let (_folder, location) = folder();
    let one = table::<AttachmentRow>(&location);
    one.append(unsourced([attachment("before")]), none()).await.unwrap();
    let others = opened_by_others(&location).await;
    others
        .add_columns()
        .with_fields([StructField::new("remark", DataType::STRING, true)])
        .await
        .unwrap();

    one.append(unsourced([attachment("after")]), none()).await.unwrap();
    assert_eq!(texts(&one, "media_id").await, ["after", "before"]);
    let batches = one.scan(&["remark"]).await.unwrap();
    assert!(
        batches
            .iter()
            .all(|batch| batch.column(0).null_count() == batch.num_rows())
    );
}
