//! The readiness of a worker that its consumer group has removed.

use xact_testkit::{Fleet, Result};

fn wait_for_partitions(fleet: &Fleet, name: &str, count: f64) -> Result<()> {
    fleet.wait_until(&format!("{name} has {count} partitions or more"), || {
        let assigned = fleet[name].sum("kafka_consumer_assigned_partitions", &[]).ok()?;
        (assigned >= count).then_some(())
    })
}

#[test]
fn a_worker_that_lost_its_partitions_is_not_ready_until_it_has_rejoined() -> Result<()> {
    let mut fleet = Fleet::shared("membership", &[])?;
    fleet.spawn("member", "dlq", &[("KAFKA_SESSION_TIMEOUT_MS", "6000")])?;
    // The group waits this long for it while it is frozen.
    fleet.spawn("other", "dlq", &[("KAFKA_SESSION_TIMEOUT_MS", "60000")])?;
    wait_for_partitions(&fleet, "member", 1.0)?;
    wait_for_partitions(&fleet, "other", 1.0)?;

    fleet["member"].process.pause()?;
    wait_for_partitions(&fleet, "other", 3.0)?;
    fleet["other"].process.pause()?;
    fleet["member"].process.resume()?;
    fleet.wait_until("it reports that it waits for its group", || {
        let reasons = fleet["member"].reasons()?;
        reasons["dlq"].as_str()?.contains("assignment").then_some(())
    })?;

    fleet["other"].process.resume()?;
    fleet["member"].wait_ready()?;
    wait_for_partitions(&fleet, "member", 1.0)
}
