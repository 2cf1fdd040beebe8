//! `RESTORE TABLE` to an earlier version: the positions become those of the rows again, so the rows that were written since
//! are read from the topic again, each once.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::support::{APP, positions, sourced_from};
use crate::{Bench, append, name};
use xact_contracts::ids::AppId;
use xact_lake::{Appended, AttachmentRow, Table, TableError, TableErrorKind};
use xact_testkit::Spark;
use xact_testkit::spark::Line;

/// Returns a table of 100 rows: 40 in version 1, 30 more in version 2, 30 more in version 3.
async fn bench() -> Bench {
    Bench::with([0..40, 40..70, 70..100]).await
}

async fn position(table: &Table<AttachmentRow>) -> i64 {
    positions(table).await[APP]
}

/// Checks that an append was refused because of a restore; returns the table's position and the one that was written.
fn restored<T: std::fmt::Debug>(refused: Result<T, TableError>) -> (i64, i64) {
    match refused.unwrap_err().kind {
        TableErrorKind::Restored { position, written, .. } => (position, written),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_running_writer_reads_the_rows_again_that_a_restore_removed() {
    let bench = bench().await;
    let table = &bench.table;
    let mut spark = Spark::shared(Line::V3).unwrap();
    bench.run(&mut spark, "RESTORE TABLE {t} TO VERSION AS OF 1");
    // Appending over the gap is refused every time.
    for _ in 0..2 {
        assert_eq!(restored(append(table, 100..110).await), (40, 100));
    }
    assert_eq!(position(table).await, 40);
    assert_eq!(append(table, 40..60).await.unwrap(), 20);
    assert_eq!(append(table, 60..110).await.unwrap(), 50);
    assert_eq!(append(table, 0..110).await.unwrap(), 0);
    bench.assert_each_once(&mut spark, 0..110, "");
    assert_eq!(position(&bench.open()).await, 110);
}

#[tokio::test]
async fn a_restarted_writer_finds_a_restore_behind_a_checkpoint_and_commits_of_others() {
    let bench = bench().await;
    let mut spark = Spark::shared(Line::V4).unwrap();
    let statements = "RESTORE TABLE {t} TO VERSION AS OF 2; {set} ('delta.checkpointInterval' = '1'); \
                      OPTIMIZE {t}; {set} ('delta.checkpointInterval' = '100')";
    bench.run(&mut spark, statements);
    let table = &bench.open();
    assert_eq!(position(table).await, 70);
    assert_eq!(append(table, 70..100).await.unwrap(), 30);
    bench.assert_each_once(&mut spark, 0..100, "");
    assert_eq!(position(&bench.open()).await, 100, "reacted to once");
}

#[tokio::test]
async fn a_restore_of_a_restored_version_or_by_time_or_by_another_program_is_resolved() {
    let bench = bench().await;
    let table = &bench.table;
    let mut spark = Spark::shared(Line::V3).unwrap();
    // Version 4 has the rows of version 1; 5 adds rows of another program; 6 is 4 again.
    let statements = "RESTORE TABLE {t} TO VERSION AS OF 1; DELETE FROM {t} WHERE media_id = 'k-3'; \
                      RESTORE TABLE {t} TO VERSION AS OF 4";
    bench.run(&mut spark, statements);
    assert_eq!(position(table).await, 40);
    assert_eq!(append(table, 40..100).await.unwrap(), 60);
    let history = format!("DESCRIBE HISTORY {}", name(&bench.path));
    let history = spark.sql(&history).unwrap();
    let committed = history.iter().find(|row| row["version"] == 2).unwrap();
    let time = committed["timestamp"].as_str().unwrap();
    let time = time.trim_end_matches('Z').replace('T', " ");
    bench.run(&mut spark, &format!("RESTORE TABLE {{t}} TO TIMESTAMP AS OF '{time}'"));
    assert_eq!(position(&bench.open()).await, 70);
    assert_eq!(position(table).await, 70);
    assert_eq!(append(table, 70..100).await.unwrap(), 30);
    let script = bench.path.with_extension("py");
    let restore = "import sys, deltalake\ndeltalake.DeltaTable(sys.argv[1]).restore(1)\n";
    std::fs::write(&script, restore).unwrap();
    xact_testkit::python::run_script(&script, [&bench.path]).unwrap();
    assert_eq!(restored(append(table, 100..101).await).0, 40);
    assert_eq!(position(table).await, 40);
    assert_eq!(append(table, 40..101).await.unwrap(), 61);
    bench.assert_each_once(&mut spark, 0..101, "");
}

#[tokio::test]
async fn two_writers_both_read_again_after_a_restore() {
    let bench = bench().await;
    let (one, two) = (&bench.table, bench.open());
    let other = AppId::from("xact-result-processor:xact.downloads.results:1");
    let append_others = async |offsets: Range<i64>| -> Result<Appended, TableError> {
        let positions = BTreeMap::from([(other.clone(), offsets.end)]);
        let row = |offset| sourced_from(&other, offset, &format!("o-{offset}"));
        two.append(offsets.map(row).collect(), positions).await
    };
    // Version 4 and 5.
    append_others(0..10).await.unwrap();
    append_others(10..20).await.unwrap();
    let mut spark = Spark::shared(Line::V3).unwrap();
    bench.run(&mut spark, "RESTORE TABLE {t} TO VERSION AS OF 4");
    // A source that lost no rows continues, and its commit writes the position of the other as well.
    assert_eq!(append(one, 100..105).await.unwrap(), 5);
    assert_eq!(restored(append_others(20..25).await), (10, 20));
    let app_ids = [other.clone()];
    assert_eq!(bench.open().positions(&app_ids).await.unwrap()[&other], 10);
    two.positions(&app_ids).await.unwrap();
    assert_eq!(append_others(10..25).await.unwrap().added, 15);
    assert_eq!(bench.media_ids(&mut spark).len(), 105 + 25);
}
