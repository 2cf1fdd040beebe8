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
use xact_lake::{AttachmentRow, Location, TableRow};

/// Opens the table like another program.
async fn opened_by_others(location: &Location) -> deltalake::DeltaTable {
    let url = url::Url::from_directory_path(local(location)).unwrap();
    DeltaTableBuilder::from_url(url).unwrap().load().await.unwrap()
}

/// Returns the files that were read since the last call, each once.
fn files_read(faults: &Faults) -> Vec<String> {
    let mut files = faults.reads();
    files.sort();
    files.dedup();
    files
}

#[tokio::test]
async fn a_lookup_opens_no_file_of_another_date_and_no_file_twice() {
    let (_folder, location, writer) = new_table();
    for n in 0..4 {
        let other = attachment_of(date(2025, 1, 1), &format!("o{n}"));
        add(&writer, [attachment(&format!("a{n}")), other]).await;
    }
    let (plan, table) = faulty(&location, []);

    add(&table, [attachment("new 1")]).await;
    let reads = files_read(&plan);
    let is_of_date = |file: &String| file.contains("event_date=2024-12-31");
    assert!(reads.len() == 4 && reads.iter().all(is_of_date), "{reads:?}");

    add(&table, [attachment("new 2")]).await;
    assert_eq!(plan.reads(), [""; 0], "only its own file was added since");

    add(&writer, [attachment("a4")]).await;
    add(&table, [attachment("new 3")]).await;
    assert_eq!(plan.reads().len(), 1, "one request for another writer's file");

    add(&table, ["new 4", "a2"].map(attachment)).await;
    let reads = files_read(&plan);
    assert_eq!(reads.len(), 1, "the one whose filter matches: {reads:?}");
}

#[tokio::test]
async fn the_rows_of_an_id_are_found_on_the_first_date_that_has_them() {
    let (_folder, location, writer) = new_table();
    let days = [DAY, date(2025, 1, 1), date(2025, 1, 2)];
    for (number, day) in days.into_iter().enumerate() {
        add(
            &writer,
            ["x", "y"].map(|name| attachment_of(day, &format!("{name}{number}"))),
        )
        .await;
    }
    let (plan, table) = faulty(&location, []);
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).into()).collect();
    let columns = ["media_id", "trace_id"];
    let newest_first = [days[2], days[1], days[0]];

    let found = table
        .find_rows(&ids(&["y1"]), &newest_first, &columns)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.dates, found.files), (vec![days[2], days[1]], 2));
    let names: Vec<_> = found
        .batches
        .iter()
        .flat_map(|batch| strings(batch, "media_id"))
        .collect();
    assert_eq!(names, ["y1"]);
    assert!(
        !plan.reads().iter().any(|file| file.contains("2024-12-31")),
        "a later date has it"
    );

    let none = table
        .find_rows(&ids(&["z"]), &newest_first, &columns)
        .await
        .unwrap()
        .unwrap();
    assert!(none.batches.is_empty() && none.dates.len() == 3);
    assert_eq!(
        plan.reads().len(),
        1,
        "only the filter of the date that was not read before"
    );

    let contents = table.contents().await.unwrap().unwrap();
    assert_eq!(contents.version, none.version);
    assert!(contents.dates.keys().eq(&days) && contents.dates.values().all(|date| date.files == 1));
    let (_folder, _, absent) = new_table::<AttachmentRow>();
    assert!(absent.contents().await.unwrap().is_none());
    assert!(absent.find_rows(&ids(&["z"]), &days, &columns).await.unwrap().is_none());
}

#[tokio::test]
async fn keys_in_files_without_a_filter_are_found() {
    let (_folder, location, one) = new_table();
    add(&one, [attachment("ours")]).await;

    let mut others = opened_by_others(&location).await;
    let mut writer = RecordBatchWriter::for_table(&others).unwrap();
    let theirs = AttachmentRow::to_record_batch(&[&attachment("theirs")]).unwrap();
    writer.write(theirs).await.unwrap();
    writer.flush_and_commit(&mut others).await.unwrap();

    let rows = || ["ours", "theirs", "new"].map(attachment);
    assert_eq!(add(&one, rows()).await, (1, 0, 2));
    assert_eq!(add(&table(&location), rows()).await, (0, 0, 3));
}

#[tokio::test]
async fn a_column_that_another_program_added_is_filled_with_null() {
    let (_folder, location, one) = new_table();
    add(&one, [attachment("before")]).await;
    let remark = StructField::new("remark", DataType::STRING, true);
    let others = opened_by_others(&location).await;
    others.add_columns().with_fields([remark]).await.unwrap();

    add(&one, [attachment("after")]).await;
    assert_eq!(texts(&one, "media_id").await, ["after", "before"]);
    for batch in one.scan(&["remark"]).await.unwrap() {
        assert_eq!(batch.column(0).null_count(), batch.num_rows());
    }
}
