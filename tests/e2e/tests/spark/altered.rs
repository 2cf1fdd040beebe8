//! Spark alters the tables of running handlers: what blocks the handlers is reported before and during the block, and a restored
//! table gets its rows back.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use xact_testkit::events::completed;
use xact_testkit::spark::Line;
use xact_testkit::{Fleet, Result, Spark, assert_contains, kcat};

const TABLE: &str = "tables/xact_attachments";

fn alter(table: &Path, statements: &[&str]) -> Result<()> {
    let mut spark = Spark::shared(Line::V3)?;
    for statement in statements {
        spark.sql(&statement.replace("{t}", &format!("delta.`{}`", table.display())))?;
    }
    Ok(())
}

/// Sends the results of some files, all to one partition.
fn send(fleet: &Fleet, numbers: std::ops::Range<u32>) -> Result<()> {
    let results = numbers.map(|number| {
        let trace_id = format!("altered-{number}");
        let url = format!("https://claimxperience.com/{number}.pdf");
        (trace_id.clone(), completed(&trace_id, &url))
    });
    kcat::produce_to(&fleet.broker, &fleet.topic("results"), Some(0), results)
}

fn wait_for_rows(fleet: &Fleet, rows: u32) -> Result<()> {
    let expected: BTreeSet<String> = (0..rows).map(|number| format!("altered-{number}")).collect();
    fleet["result-processor"].wait_until(&format!("{rows} rows are there, each once"), || {
        let attachments = fleet.tables().ok()?.attachments;
        let trace_id = |row: &Value| row["trace_id"].as_str().map(str::to_owned);
        let found: BTreeSet<String> = attachments.iter().filter_map(trace_id).collect();
        (attachments.len() == expected.len() && found == expected).then_some(())
    })
}

/// Returns what `table info` prints about the table.
fn info(fleet: &Fleet) -> Result<Value> {
    let answer = fleet.run(&["table", "info", "--table", "attachments", "--json"])?;
    Ok(answer.json()?[0].take())
}

fn version(fleet: &Fleet) -> Result<u64> {
    Ok(info(fleet)?["version"].as_u64().unwrap())
}

#[test]
fn rows_removed_by_a_restore_are_read_again_while_running_and_after_a_restart() -> Result<()> {
    let mut fleet = Fleet::shared("restored", &[])?;
    fleet.start(&["result-processor"])?;
    let table = fleet.dir.join(TABLE);
    send(&fleet, 0..40)?;
    wait_for_rows(&fleet, 40)?;
    let middle = version(&fleet)?;
    send(&fleet, 40..100)?;
    wait_for_rows(&fleet, 100)?;
    fleet.wait_no_lag()?;

    alter(&table, &[&format!("RESTORE TABLE {{t}} TO VERSION AS OF {middle}")])?;
    assert_eq!(fleet.tables()?.attachments.len(), 40);
    // It learns of the restore when it writes.
    send(&fleet, 100..101)?;
    wait_for_rows(&fleet, 101)?;
    let log = fleet["result-processor"].process.log();
    assert_contains(&log, &["was restored to an earlier version"]);

    fleet.wait_no_lag()?;
    fleet.stop(&["result-processor"])?;
    alter(&table, &[&format!("RESTORE TABLE {{t}} TO VERSION AS OF {middle}")])?;
    assert_eq!(fleet.tables()?.attachments.len(), 40);
    fleet.start(&["result-processor"])?;
    wait_for_rows(&fleet, 101)?;
    send(&fleet, 101..103)?;
    wait_for_rows(&fleet, 103)
}

#[test]
fn a_table_feature_that_stops_the_writer_is_reported_with_a_remedy_that_works() -> Result<()> {
    let mut fleet = Fleet::shared("featured", &[])?;
    fleet.start(&["result-processor"])?;
    let table = fleet.dir.join(TABLE);
    send(&fleet, 0..3)?;
    wait_for_rows(&fleet, 3)?;
    // Spark lists features for these that nothing uses, and the feed asks nothing of an append.
    let harmless = "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.feature.identityColumns' = 'supported')";
    alter(&table, &[harmless])?;
    send(&fleet, 3..5)?;
    wait_for_rows(&fleet, 5)?;

    let constraint = "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (bytes_downloaded >= 0)";
    alter(&table, &[constraint])?;
    let (reason, remedy) = ("its constraint \"positive\"", "DROP CONSTRAINT positive");
    let checked = fleet.run(&["check", "--json"])?;
    assert_eq!(checked.code, Some(1), "{}", checked.text);
    let lines: Vec<Value> = serde_json::from_str(&checked.text).unwrap();
    let mut lines = lines.iter();
    let line = lines.find(|line| line["check"] == "table xact_attachments").unwrap();
    assert_eq!(line["verdict"], "failed", "{line}");
    for text in [line["text"].to_string(), info(&fleet)?.to_string()] {
        let text = text.replace('\\', "");
        assert_contains(&text, &[reason, remedy]);
    }
    send(&fleet, 5..7)?;
    fleet["result-processor"].wait_until("it is not ready, with the reason", || {
        let (status, body) = fleet["result-processor"].get("/health/ready").ok()?;
        let text = body.replace('\\', "");
        (status == 503 && text.contains(reason) && text.contains(remedy)).then_some(())
    })?;
    alter(&table, &["ALTER TABLE {t} DROP CONSTRAINT positive"])?;
    wait_for_rows(&fleet, 7)?;
    fleet["result-processor"].wait_ready()
}
