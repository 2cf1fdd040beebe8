//! An upstream stage may repeat its work, so the same message arrives again with a new offset: at once, after a restart with
//! empty memory, after `table optimize`, from two owners at the same time. None of this adds a row.
//!
//! This does not depend on time: a row is recognized by its key in the table, as long as the row is there. (The one cache with
//! an age, the ingester's list of expanded events, only saves work; here it is emptied by a restart.)

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;

use xact_testkit::events::{completed, event};
use xact_testkit::{Fleet, command, kcat};
use xact_testkit::{Kafka, Result, wait_until};

const SOON: Duration = Duration::from_secs(120);
const TOPICS: [&str; 4] = ["raw", "pending", "cached", "results"];

/// Rows of files, failures and events.
fn rows(fleet: &Fleet) -> Result<[usize; 3]> {
    // The reader refuses a key that is there twice.
    let tables = fleet.tables()?;
    Ok([tables.attachments.len(), tables.failed.len(), tables.events.len()])
}

/// Sends all that is on these topics once more, keys and all.
fn send_again(fleet: &Fleet) -> Result<()> {
    for topic in TOPICS {
        let records: Vec<(String, Vec<u8>)> = fleet
            .records(topic)?
            .into_iter()
            .map(|record| (record.key, record.value))
            .collect();
        kcat::produce_all(&fleet.broker, &fleet.topic(topic), &records)?;
    }
    Ok(())
}

#[test]
fn repeated_messages_add_no_row_at_once_after_a_restart_or_after_table_optimize() -> Result<()> {
    let mut fleet = Fleet::whole(Kafka::shared()?.bootstrap(), "again", &[])?;
    let host = "https://claimxperience.com";
    for index in 0..10 {
        let trace_id = format!("t-{index}");
        let urls = json!([format!("{host}/ok/3000/{index}/a.pdf"), "https://evil.example/a.pdf"]);
        fleet.send("raw", &trace_id, &event(&trace_id, &urls))?;
    }
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?, [10, 10, 10]);

    send_again(&fleet)?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "at once");

    // After the restart only the tables hold state.
    let stages = xact_testkit::stages::STAGES.map(|(stage, _, _)| stage);
    for stage in stages {
        fleet[stage].process.kill()?;
    }
    fleet.start(&stages)?;
    send_again(&fleet)?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "after a restart");

    // The rows lie in other files now.
    command(&["table", "optimize"], fleet.environment.clone(), &fleet.dir)?.success()?;
    send_again(&fleet)?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "after `table optimize`");
    Ok(())
}

#[test]
fn the_same_results_from_two_concurrent_owners_become_one_row_each() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "owners", &[])?;
    fleet.create_topics()?;
    // Two groups: each of the two processes owns all partitions, and both write one table.
    for name in ["one", "other"] {
        let group = format!("owners-{name}");
        let settings = [
            ("KAFKA_CONSUMER_GROUP_PREFIX", group.as_str()),
            ("RESULT_BATCH_SECONDS", "0.05"),
        ];
        fleet.spawn(name, "result-processor", &settings)?;
    }
    fleet["one"].wait_ready()?;
    fleet["other"].wait_ready()?;
    let results: Vec<(String, Vec<u8>)> = (0..1000)
        .map(|index| {
            let trace_id = format!("t-{index}");
            let result = completed(&trace_id, "https://claimxperience.com/a.pdf");
            (trace_id, result)
        })
        .collect();
    for part in results.chunks(50) {
        kcat::produce_all(&fleet.broker, &fleet.topic("results"), part)?;
    }
    for name in ["one", "other"] {
        wait_until(SOON, &format!("{name} has seen all"), || {
            let seen = fleet[name].metrics().ok()?.sum("kafka_messages_consumed_total", &[]);
            (seen == 1000.0).then_some(())
        })
        .map_err(|error| fleet[name].process.error(&error.to_string()))?;
    }
    assert_eq!(rows(&fleet)?[0], 1000);
    let written = |name: &str| -> Result<f64> { Ok(fleet[name].metrics()?.sum("delta_events_written_total", &[])) };
    assert_eq!(
        written("one")? + written("other")?,
        1000.0,
        "each row was added by one of them"
    );
    Ok(())
}

#[test]
fn a_frozen_owner_that_resumes_after_a_rebalance_adds_no_row() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "zombie", &[])?;
    fleet.create_topics()?;
    // It holds what it has read for some seconds before it writes.
    fleet.spawn("zombie", "result-processor", &[("RESULT_BATCH_SECONDS", "5")])?;
    fleet["zombie"].wait_ready()?;
    let results: Vec<(String, Vec<u8>)> = (0..200)
        .map(|index| {
            let trace_id = format!("t-{index}");
            let result = completed(&trace_id, "https://claimxperience.com/a.pdf");
            (trace_id, result)
        })
        .collect();
    let bytes: usize = results.iter().map(|(_, value)| value.len()).sum();
    kcat::produce_all(&fleet.broker, &fleet.topic("results"), &results)?;
    wait_until(SOON, "it has read all", || {
        let read = fleet["zombie"]
            .metrics()
            .ok()?
            .sum("kafka_messages_consumed_bytes_total", &[]);
        (read == bytes as f64).then_some(())
    })?;
    fleet["zombie"].process.pause()?;
    fleet.start(&["result-processor"])?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?[0], 200, "its heir has written them");

    fleet["zombie"].process.resume()?;
    wait_until(
        SOON,
        "it knows that its rows are there, or that they are not its own any more",
        || {
            let metrics = fleet["zombie"].metrics().ok()?;
            let skipped = metrics.sum("delta_duplicate_rows_skipped_total", &[]);
            let dropped = fleet["zombie"].process.log().contains("partitions revoked");
            (skipped >= 200.0 || dropped).then_some(())
        },
    )?;
    // Both go on together.
    send_again(&fleet)?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(rows(&fleet)?[0], 200);
    Ok(())
}
