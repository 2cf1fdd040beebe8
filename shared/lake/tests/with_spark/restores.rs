//! `RESTORE TABLE` to an earlier version: the positions become those of the rows again, so the rows that were written since
//! are read from the topic again, each once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::{APP, at, attachment, sourced, table};
use crate::{media_ids, run};
use xact_contracts::ids::AppId;
use xact_lake::{Appended, AttachmentRow, Location, Source, Sourced, Table, TableError, TableErrorKind};
use xact_testkit::Spark;
use xact_testkit::spark::Line;

const OTHER: &str = "xact-result-processor:xact.downloads.results:1";

struct Bench {
    _folder: tempfile::TempDir,
    path: PathBuf,
    location: Location,
}

impl Bench {
    /// A table of 100 rows: 40 in version 1, 30 more in version 2, 30 more in version 3.
    async fn new() -> (Self, Arc<Table<AttachmentRow>>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let location = Location::parse(path.to_str().unwrap()).unwrap();
        let bench = Self {
            _folder: folder,
            path,
            location,
        };
        let table = bench.open();
        for offsets in [0..40, 40..70, 70..100] {
            append(&table, offsets).await.unwrap();
        }
        (bench, table)
    }

    fn open(&self) -> Arc<Table<AttachmentRow>> {
        table::<AttachmentRow>(&self.location)
    }
}

async fn append(table: &Table<AttachmentRow>, offsets: std::ops::Range<i64>) -> Result<Appended, TableError> {
    let end = offsets.end;
    table.append(sourced("k", offsets), at(end)).await
}

async fn position(table: &Table<AttachmentRow>) -> i64 {
    table.positions(&[APP.into()]).await.unwrap()[APP]
}

fn assert_each_once(spark: &mut Spark, path: &Path, rows: i64) {
    let mut expected: Vec<String> = (0..rows).map(|offset| format!("k-{offset}")).collect();
    expected.sort();
    assert_eq!(media_ids(spark, path), expected);
}

#[tokio::test]
async fn a_running_writer_reads_the_rows_again_that_a_restore_removed() {
    let (bench, table) = Bench::new().await;
    let mut spark = Spark::shared(Line::V3).unwrap();
    run(&mut spark, &bench.path, &["RESTORE TABLE {t} TO VERSION AS OF 1"]);
    // Appending over the gap is refused every time.
    for _ in 0..2 {
        let error = append(&table, 100..110).await.unwrap_err();
        assert!(
            matches!(
                error.kind,
                TableErrorKind::Restored {
                    position: 40,
                    written: 100,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(position(&table).await, 40);
    assert_eq!(append(&table, 40..60).await.unwrap().added, 20);
    assert_eq!(append(&table, 60..110).await.unwrap().added, 50);
    assert_eq!(append(&table, 0..110).await.unwrap().added, 0);
    assert_each_once(&mut spark, &bench.path, 110);
    assert_eq!(position(&bench.open()).await, 110);
}

#[tokio::test]
async fn a_restarted_writer_finds_a_restore_behind_a_checkpoint_and_commits_of_others() {
    let (bench, table) = Bench::new().await;
    drop(table);
    let mut spark = Spark::shared(Line::V4).unwrap();
    let restored = [
        "RESTORE TABLE {t} TO VERSION AS OF 2",
        "ALTER TABLE {t} SET TBLPROPERTIES ('delta.checkpointInterval' = '1')",
        "OPTIMIZE {t}",
        "ALTER TABLE {t} SET TBLPROPERTIES ('delta.checkpointInterval' = '100')",
    ];
    run(&mut spark, &bench.path, &restored);
    let table = bench.open();
    assert_eq!(position(&table).await, 70);
    assert_eq!(append(&table, 70..100).await.unwrap().added, 30);
    assert_each_once(&mut spark, &bench.path, 100);
    assert_eq!(position(&bench.open()).await, 100, "reacted to once");
}

#[tokio::test]
async fn a_restore_of_a_restored_version_or_by_time_or_by_another_program_is_resolved() {
    let (bench, table) = Bench::new().await;
    let mut spark = Spark::shared(Line::V3).unwrap();
    // Version 4 has the rows of version 1; 5 adds rows of another program; 6 is 4 again.
    let restored = [
        "RESTORE TABLE {t} TO VERSION AS OF 1",
        "DELETE FROM {t} WHERE media_id = 'k-3'",
        "RESTORE TABLE {t} TO VERSION AS OF 4",
    ];
    run(&mut spark, &bench.path, &restored);
    assert_eq!(position(&table).await, 40);
    assert_eq!(append(&table, 40..100).await.unwrap().added, 60);
    let history = spark
        .sql(&format!("DESCRIBE HISTORY {}", crate::name(&bench.path)))
        .unwrap();
    let time = history.iter().find(|row| row["version"] == 2).unwrap()["timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    let by_time = format!(
        "RESTORE TABLE {{t}} TO TIMESTAMP AS OF '{}'",
        time.trim_end_matches('Z').replace('T', " ")
    );
    run(&mut spark, &bench.path, &[&by_time]);
    assert_eq!(position(&bench.open()).await, 70);
    assert_eq!(position(&table).await, 70);
    assert_eq!(append(&table, 70..100).await.unwrap().added, 30);
    let script = bench.path.with_extension("py");
    std::fs::write(
        &script,
        "import sys, deltalake\ndeltalake.DeltaTable(sys.argv[1]).restore(1)\n",
    )
    .unwrap();
    xact_testkit::python::run_script(&script, [&bench.path]).unwrap();
    assert!(matches!(
        append(&table, 100..101).await.unwrap_err().kind,
        TableErrorKind::Restored { position: 40, .. }
    ));
    assert_eq!(position(&table).await, 40);
    assert_eq!(append(&table, 40..101).await.unwrap().added, 61);
    assert_each_once(&mut spark, &bench.path, 101);
}

#[tokio::test]
async fn two_writers_both_read_again_after_a_restore() {
    let (bench, one) = Bench::new().await;
    let two = bench.open();
    let others = |offsets: std::ops::Range<i64>| -> (Vec<Sourced<AttachmentRow>>, BTreeMap<AppId, i64>) {
        let end = offsets.end;
        let row = |offset| Sourced {
            row: attachment(&format!("o-{offset}")),
            source: Some(Source {
                app_id: OTHER.into(),
                offset,
            }),
        };
        (offsets.map(row).collect(), BTreeMap::from([(OTHER.into(), end)]))
    };
    // Version 4 and 5.
    for offsets in [0..10, 10..20] {
        let (rows, positions) = others(offsets);
        two.append(rows, positions).await.unwrap();
    }
    let mut spark = Spark::shared(Line::V3).unwrap();
    run(&mut spark, &bench.path, &["RESTORE TABLE {t} TO VERSION AS OF 4"]);
    // A source that lost no rows continues, and its commit writes the position of the other as well.
    assert_eq!(append(&one, 100..105).await.unwrap().added, 5);
    let (rows, positions) = others(20..25);
    let error = two.append(rows, positions).await.unwrap_err();
    assert!(
        matches!(
            error.kind,
            TableErrorKind::Restored {
                position: 10,
                written: 20,
                ..
            }
        ),
        "{error}"
    );
    let started_later = bench.open();
    assert_eq!(started_later.positions(&[OTHER.into()]).await.unwrap()[OTHER], 10);
    two.positions(&[OTHER.into()]).await.unwrap();
    let (rows, positions) = others(10..25);
    assert_eq!(two.append(rows, positions).await.unwrap().added, 15);
    assert_eq!(media_ids(&mut spark, &bench.path).len(), 105 + 25);
}
