//! An upstream stage may repeat its work, so the same message arrives again with a new offset: at once, after a restart with
//! empty memory, after `table optimize`, from two owners at the same time. None of this adds a row.
//!
//! This does not depend on time: a row is recognized by its key in the table, as long as the row is there. (The one cache with
//! an age, the ingester's list of expanded events, only saves work; here it is emptied by a restart.)

#![allow(clippy::unwrap_used)]

use serde_json::json;

use xact_testkit::events::{completed, event};
use xact_testkit::{Fleet, Kafka, Result, stages};

const TOPICS: [&str; 4] = ["raw", "pending", "cached", "results"];

/// Returns the numbers of rows of files, failures and events.
fn rows(fleet: &Fleet) -> Result<[usize; 3]> {
    // The reader rejects duplicate keys.
    let tables = fleet.tables()?;
    Ok([tables.attachments.len(), tables.failed.len(), tables.events.len()])
}

/// Returns results of `count` files.
fn results(count: usize) -> Vec<(String, Vec<u8>)> {
    let result = |index| {
        let trace_id = format!("t-{index}");
        (
            trace_id.clone(),
            completed(&trace_id, "https://claimxperience.com/a.pdf"),
        )
    };
    (0..count).map(result).collect()
}

/// Sends all records of these topics once more, with their keys.
fn send_again(fleet: &Fleet) -> Result<()> {
    for topic in TOPICS {
        let records = fleet.records(topic)?.into_iter();
        fleet.send_all(topic, records.map(|record| (record.key, record.value)))?;
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
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?, [10, 10, 10]);

    send_again(&fleet)?;
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "at once");

    // After the restart only the tables hold state.
    for stage in stages::names() {
        fleet[stage].process.kill()?;
    }
    fleet.start_all()?;
    send_again(&fleet)?;
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "after a restart");

    // The rows lie in other files now.
    fleet.run(&["table", "optimize"])?.success()?;
    send_again(&fleet)?;
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?, [10, 10, 10], "after `table optimize`");
    Ok(())
}

#[test]
fn the_same_results_from_two_concurrent_owners_become_one_row_each() -> Result<()> {
    let mut fleet = Fleet::shared("owners", &[])?;
    // Two groups: each of the two processes owns all partitions, and both write one table.
    for name in ["one", "other"] {
        let group = format!("owners-{name}");
        let settings = [
            ("KAFKA_CONSUMER_GROUP_PREFIX", group.as_str()),
            ("RESULT_BATCH_SECONDS", "0.05"),
        ];
        fleet.spawn(name, "result-processor", &settings)?;
    }
    fleet.wait_ready(&["one", "other"])?;
    for part in results(1000).chunks(50) {
        fleet.send_all("results", part.iter().map(|(key, value)| (key, value)))?;
    }
    for name in ["one", "other"] {
        fleet[name].wait_sum("kafka_messages_consumed_total", 1000.0)?;
    }
    assert_eq!(rows(&fleet)?[0], 1000);
    let written = |name: &str| fleet[name].sum("delta_events_written_total", &[]);
    assert_eq!(
        written("one")? + written("other")?,
        1000.0,
        "each row was added by one of them"
    );
    Ok(())
}

#[test]
fn a_frozen_owner_that_resumes_after_a_rebalance_adds_no_row() -> Result<()> {
    let mut fleet = Fleet::shared("frozen", &[])?;
    // It holds what it has read for some seconds before it writes.
    fleet.spawn("frozen", "result-processor", &[("RESULT_BATCH_SECONDS", "5")])?;
    fleet.wait_ready(&["frozen"])?;
    let results = results(200);
    let bytes: usize = results.iter().map(|(_, value)| value.len()).sum();
    fleet.send_all("results", results)?;
    fleet["frozen"].wait_sum("kafka_messages_consumed_bytes_total", bytes as f64)?;
    fleet["frozen"].process.pause()?;
    fleet.start(&["result-processor"])?;
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?[0], 200, "the next owner has written them");

    fleet["frozen"].process.resume()?;
    fleet["frozen"].wait_until("its rows are skipped, or its partitions revoked", || {
        let skipped = fleet["frozen"].sum("delta_duplicate_rows_skipped_total", &[]).ok()?;
        let is_revoked = fleet["frozen"].process.log().contains("partitions revoked");
        (skipped >= 200.0 || is_revoked).then_some(())
    })?;
    // Then both process the same records again.
    send_again(&fleet)?;
    fleet.wait_no_lag()?;
    assert_eq!(rows(&fleet)?[0], 200);
    Ok(())
}
