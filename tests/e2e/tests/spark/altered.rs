//! Spark alters the tables of running handlers: what blocks the handlers is reported before and during the block, and a restored
//! table gets its rows back.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use xact_testkit::events::completed;
use xact_testkit::spark::Line;
use xact_testkit::{Fleet, command, kcat};
use xact_testkit::{Kafka, Result, Spark, wait_until};

const SOON: Duration = Duration::from_secs(60);
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
    let results: Vec<(String, Vec<u8>)> = numbers
        .map(|number| {
            let trace_id = format!("altered-{number}");
            let url = format!("https://claimxperience.com/{number}.pdf");
            let result = completed(&trace_id, &url);
            (trace_id, result)
        })
        .collect();
    let records = results.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    kcat::produce_to(&fleet.broker, &fleet.topic("results"), Some(0), records)
}

fn wait_for_rows(fleet: &Fleet, rows: u32) -> Result<()> {
    let expected: BTreeSet<String> = (0..rows).map(|number| format!("altered-{number}")).collect();
    wait_until(SOON, &format!("{rows} rows are there, each once"), || {
        let attachments = fleet.tables().ok()?.attachments;
        let found: BTreeSet<String> = attachments
            .iter()
            .filter_map(|row| row["trace_id"].as_str().map(str::to_owned))
            .collect();
        (attachments.len() == expected.len() && found == expected).then_some(())
    })
    .map_err(|error| fleet["result-processor"].process.error(&error.to_string()))
}

fn version(fleet: &Fleet) -> Result<u64> {
    let text = command(
        &["table", "info", "--table", "attachments", "--json"],
        fleet.environment.clone(),
        &fleet.dir,
    )?
    .success()?;
    let tables: Vec<Value> = serde_json::from_str(&text).unwrap();
    Ok(tables[0]["version"].as_u64().unwrap())
}

#[test]
fn rows_removed_by_a_restore_are_read_again_while_running_and_after_a_restart() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "restored", &[])?;
    fleet.create_topics()?;
    fleet.start(&["result-processor"])?;
    let table = fleet.dir.join(TABLE);
    send(&fleet, 0..40)?;
    wait_for_rows(&fleet, 40)?;
    let middle = version(&fleet)?;
    send(&fleet, 40..100)?;
    wait_for_rows(&fleet, 100)?;
    fleet.wait_no_lag(SOON)?;

    alter(&table, &[&format!("RESTORE TABLE {{t}} TO VERSION AS OF {middle}")])?;
    assert_eq!(fleet.tables()?.attachments.len(), 40);
    // It learns of the restore when it writes.
    send(&fleet, 100..101)?;
    wait_for_rows(&fleet, 101)?;
    let log = fleet["result-processor"].process.log();
    assert!(log.contains("was restored to an earlier version"), "{log}");

    fleet.wait_no_lag(SOON)?;
    fleet.stop(&["result-processor"], SOON)?;
    alter(&table, &[&format!("RESTORE TABLE {{t}} TO VERSION AS OF {middle}")])?;
    assert_eq!(fleet.tables()?.attachments.len(), 40);
    fleet.start(&["result-processor"])?;
    wait_for_rows(&fleet, 101)?;
    send(&fleet, 101..103)?;
    wait_for_rows(&fleet, 103)
}

#[test]
fn a_table_feature_that_stops_the_writer_is_reported_with_a_remedy_that_works() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "featured", &[])?;
    fleet.create_topics()?;
    fleet.start(&["result-processor"])?;
    let table = fleet.dir.join(TABLE);
    send(&fleet, 0..3)?;
    wait_for_rows(&fleet, 3)?;
    // Spark lists features for these that nothing uses, and the feed asks nothing of an append.
    let harmless = "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.feature.identityColumns' = 'supported')";
    alter(&table, &[harmless])?;
    send(&fleet, 3..5)?;
    wait_for_rows(&fleet, 5)?;

    alter(
        &table,
        &["ALTER TABLE {t} ADD CONSTRAINT positive CHECK (bytes_downloaded >= 0)"],
    )?;
    let reason = "its constraint \"positive\"";
    let remedy = "DROP CONSTRAINT positive";
    let checked = command(&["check", "--json"], fleet.environment.clone(), &fleet.dir)?;
    assert_eq!(checked.code, Some(1), "{}", checked.text);
    let lines: Vec<Value> = serde_json::from_str(&checked.text).unwrap();
    let line = lines
        .iter()
        .find(|line| line["check"] == "table xact_attachments")
        .unwrap();
    assert_eq!(line["verdict"], "failed", "{line}");
    let info = command(
        &["table", "info", "--json", "--table", "attachments"],
        fleet.environment.clone(),
        &fleet.dir,
    )?;
    let info: Vec<Value> = serde_json::from_str(&info.success()?).unwrap();
    for text in [line["text"].to_string(), info[0].to_string()] {
        let text = text.replace('\\', "");
        assert!(text.contains(reason) && text.contains(remedy), "{text}");
    }
    send(&fleet, 5..7)?;
    wait_until(SOON, "it is not ready, with the reason", || {
        let (status, body) = fleet["result-processor"].get("/health/ready").ok()?;
        let text = body.replace('\\', "");
        (status == 503 && text.contains(reason) && text.contains(remedy)).then_some(())
    })
    .map_err(|error| fleet["result-processor"].process.error(&error.to_string()))?;
    alter(&table, &["ALTER TABLE {t} DROP CONSTRAINT positive"])?;
    wait_for_rows(&fleet, 7)?;
    fleet["result-processor"].wait_ready()
}
