//! Table features, each enabled by Spark on a table that is written to: an append succeeds if the feature requires nothing of
//! it; otherwise it is refused with the reason, and the statements that are advised remove the cause.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{DAY, at, ids, none, positions, sourced, texts};
use crate::{Bench, append, name};
use xact_lake::{Obstacle, TableErrorKind, VACUUM_RETENTION, Vacuum};
use xact_testkit::Spark;
use xact_testkit::spark::Line::{self, V3, V4};

struct Case {
    feature: &'static str,
    line: Line,
    /// The statements that Spark runs.
    altered: &'static str,
    /// A part of the reason why rows are refused, and the advised statements. `None`: they are appended.
    refused: Option<(&'static str, &'static str)>,
}

const fn accepted(feature: &'static str, line: Line, altered: &'static str) -> Case {
    Case {
        feature,
        line,
        altered,
        refused: None,
    }
}

const fn refused(
    feature: &'static str,
    line: Line,
    altered: &'static str,
    reason: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        refused: Some((reason, remedy)),
        ..accepted(feature, line, altered)
    }
}

const CASES: &[Case] = &[
    accepted("changeDataFeed", V3, "{set} ('delta.enableChangeDataFeed' = 'true')"),
    accepted("appendOnly", V3, "{set} ('delta.appendOnly' = 'true')"),
    accepted(
        "v2Checkpoint",
        V3,
        "{set} ('delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '1'); {set} ('a' = 'b')",
    ),
    accepted(
        "inCommitTimestamp",
        V3,
        "{set} ('delta.enableInCommitTimestamps' = 'true')",
    ),
    accepted(
        "timestampNtz",
        V3,
        "{set} ('delta.feature.timestampNtz' = 'supported'); \
         ALTER TABLE {t} ADD COLUMNS (seen_local TIMESTAMP_NTZ, region STRING)",
    ),
    accepted(
        "typeWidening",
        V4,
        "{set} ('delta.enableTypeWidening' = 'true'); ALTER TABLE {t} ALTER COLUMN retry_count TYPE BIGINT",
    ),
    accepted(
        "vacuumProtocolCheck",
        V3,
        "{set} ('delta.feature.vacuumProtocolCheck' = 'supported')",
    ),
    accepted(
        "listed and not used",
        V3,
        "{set} ('delta.feature.invariants' = 'supported', 'delta.feature.checkConstraints' = 'supported', \
         'delta.feature.generatedColumns' = 'supported', 'delta.feature.identityColumns' = 'supported', \
         'delta.feature.domainMetadata' = 'supported')",
    ),
    refused(
        "checkConstraints",
        V3,
        "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (bytes_downloaded >= 0)",
        "its constraint \"positive\"",
        "ALTER TABLE {t} DROP CONSTRAINT positive",
    ),
    refused(
        "deletionVectors",
        V3,
        "{set} ('delta.enableDeletionVectors' = 'true'); DELETE FROM {t} WHERE media_id = 'k-0'",
        "a deletion vector",
        "{set} ('delta.enableDeletionVectors' = 'false'); REORG TABLE {t} APPLY (PURGE)",
    ),
    refused(
        "rowTracking",
        V4,
        "{set} ('delta.enableRowTracking' = 'true')",
        "every file must number its rows",
        "SET spark.databricks.delta.restore.protocolDowngradeAllowed = true; RESTORE TABLE {t} TO VERSION AS OF 1",
    ),
    refused(
        "variantType",
        V4,
        "{set} ('delta.feature.variantType' = 'supported'); ALTER TABLE {t} ADD COLUMNS (v VARIANT)",
        "its column \"v\" has the type variant",
        "RESTORE TABLE {t} TO VERSION AS OF 1",
    ),
    refused(
        "columnMapping",
        V4,
        "{set} ('delta.columnMapping.mode' = 'name')",
        "delta.columnMapping.mode is name",
        "ALTER TABLE {t} DROP FEATURE columnMapping",
    ),
    refused(
        "allowColumnDefaults",
        V3,
        "{set} ('delta.feature.allowColumnDefaults' = 'supported'); ALTER TABLE {t} ADD COLUMNS (region STRING); \
         ALTER TABLE {t} ALTER COLUMN region SET DEFAULT 'west'",
        "its column \"region\" has a default",
        "ALTER TABLE {t} ALTER COLUMN region DROP DEFAULT",
    ),
];

/// Returns a table of five rows.
async fn bench() -> Bench {
    Bench::with(iter::once(0..5)).await
}

/// Returns why rows cannot be appended, as a process reports it that opens the table.
async fn obstacles(bench: &Bench) -> Vec<String> {
    let info = bench.open().info().await.unwrap().unwrap();
    let text = |obstacle: &Obstacle| format!("{}: {}", obstacle.feature, obstacle.reason);
    info.obstacles.iter().map(text).collect()
}

async fn try_case(case: &Case) {
    let feature = case.feature;
    let bench = bench().await;
    let mut spark = Spark::shared(case.line).unwrap();
    bench.run(&mut spark, case.altered);
    let reported = obstacles(&bench).await;
    // The deletion vector deletes the first row.
    let first = i64::from(feature == "deletionVectors");
    if let Some((reason, remedy)) = case.refused {
        let error = append(&bench.table, 3..8).await.unwrap_err();
        let text = error.to_string();
        let is_feature = matches!(error.kind, TableErrorKind::Feature { .. });
        assert!(is_feature, "{feature}: {text}");
        assert!(text.contains(reason) && text.contains(feature), "{feature}: {text}");
        let is_known = reported.len() == 1 && reported[0].contains(reason);
        assert!(is_known, "{feature}, before a writer runs: {reported:?}");
        bench.run(&mut spark, remedy);
        assert_eq!(obstacles(&bench).await, [""; 0], "{feature}: the remedy helps");
    } else {
        assert_eq!(reported, [""; 0], "{feature}");
    }
    // The same handle, and then one that opens the altered table. Some of the rows are appended twice.
    assert_eq!(append(&bench.table, 3..8).await.unwrap(), 3, "{feature}");
    let fresh = bench.open();
    let appended = fresh.append(sourced("k", 6..10), none()).await.unwrap();
    assert_eq!(appended.added, 2, "{feature}: by offset and by key");
    let mut expected: Vec<String> = (first..10).map(|offset| format!("k-{offset}")).collect();
    expected.sort();
    assert_eq!(texts(&fresh, "media_id").await, expected, "{feature}");
    // Each commits after the other.
    bench.run(&mut spark, "OPTIMIZE {t}");
    fresh.checkpoint().await.unwrap();
    assert_eq!(append(&bench.table, 10..12).await.unwrap(), 2, "{feature}");
    bench.assert_each_once(&mut spark, first..12, feature);
    drop(spark);
    fresh.vacuum(Vacuum::dry_run(VACUUM_RETENTION)).await.unwrap();
}

#[tokio::test]
async fn a_feature_that_an_append_supports_is_accepted_and_others_are_refused_with_a_remedy() {
    for case in CASES {
        println!("{}", case.feature);
        try_case(case).await;
    }
}

#[tokio::test]
async fn removed_rows_are_in_the_change_data_feed() {
    let bench = bench().await;
    let mut spark = Spark::shared(V3).unwrap();
    bench.run(&mut spark, "{set} ('delta.enableChangeDataFeed' = 'true')");
    append(&bench.table, 5..8).await.unwrap();
    assert_eq!(bench.table.remove(ids(["k-1", "k-6"])).await.unwrap().rows, 2);
    let statement = format!(
        "SELECT concat_ws(' ', _change_type, media_id, event_date) AS change FROM table_changes_by_path('{}', 2) ORDER BY _commit_version, media_id",
        bench.path.display()
    );
    let changes = spark.sql(&statement).unwrap();
    let changes: Vec<&str> = changes.iter().map(|row| row["change"].as_str().unwrap()).collect();
    let expected = ["insert k-5", "insert k-6", "insert k-7", "delete k-1", "delete k-6"];
    assert_eq!(changes, expected.map(|change| format!("{change} {DAY}")));
}

#[tokio::test]
async fn an_append_only_table_refuses_removals_and_accepts_appends() {
    let bench = bench().await;
    let mut spark = Spark::shared(V3).unwrap();
    bench.run(&mut spark, "{set} ('delta.appendOnly' = 'true')");
    let remove = || bench.table.remove(ids(["k-1"]));
    let error = remove().await.unwrap_err();
    assert!(error.to_string().contains("delta.appendOnly"), "{error}");
    assert_eq!(append(&bench.table, 5..6).await.unwrap(), 1);
    bench.run(&mut spark, "{set} ('delta.appendOnly' = 'false')");
    assert_eq!(remove().await.unwrap().rows, 1);
}

/// Spark alters the table during commits, not between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_concurrent_with_spark_loses_and_duplicates_nothing() {
    let bench = Arc::new(bench().await);
    let altered = Arc::clone(&bench);
    let spark = tokio::task::spawn_blocking(move || {
        let mut spark = Spark::shared(V3).unwrap();
        for property in ["ChangeDataFeed", "InCommitTimestamps", "DeletionVectors"] {
            let statement = format!("{{set}} ('delta.enable{property}' = 'true')");
            altered.run(&mut spark, &statement);
            // A change of data may conflict with a commit; then Spark has to repeat it.
            let _ = spark.sql(&format!("OPTIMIZE {}", name(&altered.path)));
        }
    });
    let mut next = 5;
    while !spark.is_finished() {
        append(&bench.table, next..next + 3).await.unwrap();
        next += 3;
        // Without a pause between commits, Spark would always conflict.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    spark.await.unwrap();
    append(&bench.table, next..next + 3).await.unwrap();
    let mut spark = Spark::shared(V3).unwrap();
    bench.assert_each_once(&mut spark, 0..next + 3, "");
    assert_eq!(positions(&bench.table).await, at(next + 3));
}
