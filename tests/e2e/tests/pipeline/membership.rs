//! The readiness of a worker that its consumer group has removed.

use std::time::Duration;

use xact_testkit::Fleet;
use xact_testkit::{Kafka, Result, wait_until};

const SOON: Duration = Duration::from_secs(60);

fn wait_for_partitions(fleet: &Fleet, name: &str, count: f64) -> Result<()> {
    wait_until(SOON, &format!("{name} has {count} partitions or more"), || {
        let metrics = fleet[name].metrics().ok()?;
        (metrics.sum("kafka_consumer_assigned_partitions", &[]) >= count).then_some(())
    })
}

#[test]
fn a_worker_that_lost_its_partitions_is_not_ready_until_it_has_rejoined() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "membership", &[])?;
    fleet.create_topics()?;
    fleet.spawn("member", "dlq", &[("KAFKA_SESSION_TIMEOUT_MS", "6000")])?;
    // The group waits for this one for so long, frozen as it will be.
    fleet.spawn("other", "dlq", &[("KAFKA_SESSION_TIMEOUT_MS", "60000")])?;
    wait_for_partitions(&fleet, "member", 1.0)?;
    wait_for_partitions(&fleet, "other", 1.0)?;

    fleet["member"].process.pause()?;
    wait_for_partitions(&fleet, "other", 3.0)?;
    fleet["other"].process.pause()?;
    fleet["member"].process.resume()?;
    wait_until(SOON, "it says that it waits for its group", || {
        let reasons = fleet["member"].reasons()?;
        reasons["dlq"].as_str()?.contains("assignment").then_some(())
    })?;

    fleet["other"].process.resume()?;
    fleet["member"].wait_ready()?;
    wait_for_partitions(&fleet, "member", 1.0)
}
