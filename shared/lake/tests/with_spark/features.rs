//! Table features, each enabled by Spark on a table that is written to: an append succeeds if the feature requires nothing of
//! it; otherwise it is refused with the reason, and the statements that are advised remove the cause.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::support::{APP, DAY, at, options, sourced, table, texts};
use crate::{media_ids, name, run};
use xact_lake::{AttachmentRow, Location, Table, TableError, TableErrorKind, Vacuum};
use xact_testkit::Spark;
use xact_testkit::spark::Line;

struct Case {
    feature: &'static str,
    line: Line,
    /// The statements that Spark runs.
    altered: &'static [&'static str],
    /// A part of the reason why rows are refused. `None`: they are appended.
    refused: Option<&'static str>,
    /// The advised statements.
    remedy: &'static [&'static str],
}

const fn accepted(feature: &'static str, line: Line, altered: &'static [&'static str]) -> Case {
    Case {
        feature,
        line,
        altered,
        refused: None,
        remedy: &[],
    }
}

const fn refused(
    feature: &'static str,
    line: Line,
    altered: &'static [&'static str],
    reason: &'static str,
    remedy: &'static [&'static str],
) -> Case {
    Case {
        feature,
        line,
        altered,
        refused: Some(reason),
        remedy,
    }
}

const CASES: &[Case] = &[
    accepted(
        "changeDataFeed",
        Line::V3,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"],
    ),
    accepted(
        "appendOnly",
        Line::V3,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.appendOnly' = 'true')"],
    ),
    accepted(
        "v2Checkpoint",
        Line::V3,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '1')",
            "ALTER TABLE {t} SET TBLPROPERTIES ('a' = 'b')",
        ],
    ),
    accepted(
        "inCommitTimestamp",
        Line::V3,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')"],
    ),
    accepted(
        "timestampNtz",
        Line::V3,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.timestampNtz' = 'supported')",
            "ALTER TABLE {t} ADD COLUMNS (seen_local TIMESTAMP_NTZ, region STRING)",
        ],
    ),
    accepted(
        "typeWidening",
        Line::V4,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
            "ALTER TABLE {t} ALTER COLUMN retry_count TYPE BIGINT",
        ],
    ),
    accepted(
        "vacuumProtocolCheck",
        Line::V3,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.vacuumProtocolCheck' = 'supported')"],
    ),
    accepted(
        "listed and not used",
        Line::V3,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.invariants' = 'supported', 'delta.feature.checkConstraints' = 'supported', 'delta.feature.generatedColumns' = 'supported', 'delta.feature.identityColumns' = 'supported', 'delta.feature.domainMetadata' = 'supported')",
        ],
    ),
    refused(
        "checkConstraints",
        Line::V3,
        &["ALTER TABLE {t} ADD CONSTRAINT positive CHECK (bytes_downloaded >= 0)"],
        "its constraint \"positive\"",
        &["ALTER TABLE {t} DROP CONSTRAINT positive"],
    ),
    refused(
        "deletionVectors",
        Line::V3,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
            "DELETE FROM {t} WHERE media_id = 'k-0'",
        ],
        "a deletion vector",
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')",
            "REORG TABLE {t} APPLY (PURGE)",
        ],
    ),
    refused(
        "rowTracking",
        Line::V4,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')"],
        "every file must number its rows",
        &[
            "SET spark.databricks.delta.restore.protocolDowngradeAllowed = true",
            "RESTORE TABLE {t} TO VERSION AS OF 1",
        ],
    ),
    refused(
        "variantType",
        Line::V4,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.variantType' = 'supported')",
            "ALTER TABLE {t} ADD COLUMNS (v VARIANT)",
        ],
        "its column \"v\" has the type variant",
        &["RESTORE TABLE {t} TO VERSION AS OF 1"],
    ),
    refused(
        "columnMapping",
        Line::V4,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"],
        "delta.columnMapping.mode is name",
        &["ALTER TABLE {t} DROP FEATURE columnMapping"],
    ),
    refused(
        "allowColumnDefaults",
        Line::V3,
        &[
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')",
            "ALTER TABLE {t} ADD COLUMNS (region STRING)",
            "ALTER TABLE {t} ALTER COLUMN region SET DEFAULT 'west'",
        ],
        "its column \"region\" has a default",
        &["ALTER TABLE {t} ALTER COLUMN region DROP DEFAULT"],
    ),
];

/// The sorted ids of rows with these offsets.
fn ids(offsets: impl IntoIterator<Item = i64>) -> Vec<String> {
    let mut ids: Vec<String> = offsets.into_iter().map(|offset| format!("k-{offset}")).collect();
    ids.sort();
    ids
}

async fn append(table: &Table<AttachmentRow>, offsets: std::ops::Range<i64>) -> Result<usize, TableError> {
    let end = offsets.end;
    let appended = table.append(sourced("k", offsets), at(end)).await?;
    Ok(appended.added)
}

async fn obstacles(path: &Path) -> Vec<String> {
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    let fresh = table::<AttachmentRow>(&location);
    let info = fresh.info().await.unwrap().unwrap();
    info.obstacles
        .iter()
        .map(|obstacle| format!("{}: {}", obstacle.feature, obstacle.reason))
        .collect()
}

async fn try_case(case: &Case) {
    let Case {
        feature,
        line,
        altered,
        refused,
        remedy,
    } = case;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(feature.replace(' ', "-"));
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(append(&table, 0..5).await.unwrap(), 5);
    let mut spark = Spark::shared(*line).unwrap();
    run(&mut spark, &path, altered);
    let reported = obstacles(&path).await;
    // The deletion vector deletes the first row.
    let gone = i64::from(*feature == "deletionVectors");
    if let Some(reason) = refused {
        let error = append(&table, 3..8).await.unwrap_err();
        assert!(
            matches!(error.kind, TableErrorKind::Feature { .. }),
            "{feature}: {error}"
        );
        assert!(error.to_string().contains(reason), "{feature}: {error}");
        assert!(error.to_string().contains(feature), "{feature}: {error}");
        assert!(
            reported.len() == 1 && reported[0].contains(reason),
            "{feature}: known before a writer runs: {reported:?}"
        );
        run(&mut spark, &path, remedy);
        assert_eq!(obstacles(&path).await, [""; 0], "{feature}: the remedy helps");
    } else {
        assert_eq!(reported, [""; 0], "{feature}");
    }
    // The same handle, and then one that opens the altered table. Some of the rows are appended twice.
    assert_eq!(append(&table, 3..8).await.unwrap(), 3, "{feature}");
    let fresh = Table::<AttachmentRow>::new(location, options());
    let appended = fresh.append(sourced("k", 6..10), BTreeMap::new()).await.unwrap();
    assert_eq!(appended.added, 2, "{feature}: by offset and by key");
    assert_eq!(
        texts(&fresh, "media_id").await,
        ids(gone..10),
        "{feature}: read by this crate"
    );
    // Each commits after the other.
    run(&mut spark, &path, &["OPTIMIZE {t}"]);
    fresh.checkpoint().await.unwrap();
    assert_eq!(append(&table, 10..12).await.unwrap(), 2, "{feature}");
    assert_eq!(
        media_ids(&mut spark, &path),
        ids(gone..12),
        "{feature}: after Spark's own commit"
    );
    drop(spark);
    fresh
        .vacuum(Vacuum::dry_run(Duration::from_secs(7 * 24 * 3600)))
        .await
        .unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    let table = table::<AttachmentRow>(&location);
    append(&table, 0..5).await.unwrap();
    let mut spark = Spark::shared(Line::V3).unwrap();
    run(
        &mut spark,
        &path,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"],
    );
    append(&table, 5..8).await.unwrap();
    let ids = HashSet::from(["k-1".into(), "k-6".into()]);
    let removed = table.remove(BTreeMap::from([(DAY, ids)])).await.unwrap();
    assert_eq!(removed.rows, 2);
    let statement = format!(
        "SELECT _change_type, media_id, event_date, _commit_version FROM table_changes_by_path('{}', 2) ORDER BY _commit_version, media_id",
        path.display()
    );
    let changes: Vec<String> = spark
        .sql(&statement)
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["_change_type"].as_str().unwrap(),
                row["media_id"].as_str().unwrap(),
                row["event_date"].as_str().unwrap()
            )
        })
        .collect();
    let expected =
        ["insert k-5", "insert k-6", "insert k-7", "delete k-1", "delete k-6"].map(|change| format!("{change} {DAY}"));
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn an_append_only_table_refuses_removals_and_accepts_appends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("append-only");
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    let table = table::<AttachmentRow>(&location);
    append(&table, 0..5).await.unwrap();
    let mut spark = Spark::shared(Line::V3).unwrap();
    run(
        &mut spark,
        &path,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.appendOnly' = 'true')"],
    );
    let remove = || table.remove(BTreeMap::from([(DAY, HashSet::from(["k-1".into()]))]));
    let error = remove().await.unwrap_err();
    assert!(error.to_string().contains("delta.appendOnly"), "{error}");
    assert_eq!(append(&table, 5..6).await.unwrap(), 1);
    run(
        &mut spark,
        &path,
        &["ALTER TABLE {t} SET TBLPROPERTIES ('delta.appendOnly' = 'false')"],
    );
    assert_eq!(remove().await.unwrap().rows, 1);
}

/// Spark alters the table during commits, not between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_concurrent_with_spark_loses_and_duplicates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy");
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    let table = table::<AttachmentRow>(&location);
    append(&table, 0..5).await.unwrap();
    let altered = path.clone();
    let spark = tokio::task::spawn_blocking(move || {
        let mut spark = Spark::shared(Line::V3).unwrap();
        for property in [
            "delta.enableChangeDataFeed",
            "delta.enableInCommitTimestamps",
            "delta.enableDeletionVectors",
        ] {
            let statement = format!(
                "ALTER TABLE {} SET TBLPROPERTIES ('{property}' = 'true')",
                name(&altered)
            );
            spark.sql(&statement).unwrap();
            // A change of data may conflict with a commit; then Spark has to repeat it.
            let _ = spark.sql(&format!("OPTIMIZE {}", name(&altered)));
        }
    });
    let mut next = 5;
    while !spark.is_finished() {
        append(&table, next..next + 3).await.unwrap();
        next += 3;
        // Without a pause between commits, Spark would always conflict.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    spark.await.unwrap();
    append(&table, next..next + 3).await.unwrap();
    let mut spark = Spark::shared(Line::V3).unwrap();
    assert_eq!(media_ids(&mut spark, &path), ids(0..next + 3));
    assert_eq!(table.positions(&[APP.into()]).await.unwrap()[APP], next + 3);
}
