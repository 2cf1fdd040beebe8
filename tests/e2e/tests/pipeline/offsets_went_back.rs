//! Topic, committed offsets and tables disagree because offsets were reset or a topic was recreated. No row is duplicated, no
//! file is written again, and nothing is skipped silently.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use xact_testkit::Fleet;
use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::event;
use xact_testkit::pipeline::files_below;
use xact_testkit::sent::Sent;
use xact_testkit::stages::STAGES;
use xact_testkit::{Kafka, Result, wait_until};

const EVENTS: usize = 20;
const FINISHED: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(60);

/// Sends events with a good and a missing attachment each, and waits until all is done.
fn send(fleet: &Fleet, name: &str, sent: &mut Vec<Sent>) -> Result<()> {
    for number in 0..EVENTS {
        let trace_id = format!("{name}-{number}");
        let url = |kind: &str| format!("https://claimxperience.com/{kind}/3000/{trace_id}/{kind}.pdf");
        let bytes = event(&trace_id, &json!([url("ok"), url("missing")]));
        fleet.send("raw", &trace_id, &bytes)?;
        sent.push(Sent::read(&trace_id, &bytes));
    }
    fleet.wait_no_lag(FINISHED)
}

fn stop(fleet: &mut Fleet, stages: &[&str]) -> Result<()> {
    for stage in stages {
        fleet[stage].terminate(STOPPED)?;
    }
    Ok(())
}

/// Every file of the lake with the time at which it was written.
fn written(fleet: &Fleet) -> BTreeMap<PathBuf, SystemTime> {
    files_below(&fleet.files())
        .into_iter()
        .filter_map(|path| Some((path.clone(), fs::metadata(path).ok()?.modified().ok()?)))
        .collect()
}

#[test]
fn offsets_reset_to_the_beginning_duplicate_no_row_and_rewrite_no_file() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "reset", &[])?;
    let mut sent = Vec::new();
    send(&fleet, "reset", &mut sent)?;
    fleet.samples.fill_in(&mut sent)?;
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    let before = written(&fleet);
    assert_eq!(before.len(), EVENTS);

    let stages = STAGES.map(|(stage, _, _)| stage);
    stop(&mut fleet, &stages)?;
    for (_, group, _) in STAGES {
        let group = fleet.group(group.trim_start_matches("xact-"));
        let reset = [
            "--reset-offsets",
            "--to-earliest",
            "--all-topics",
            "--execute",
            "--group",
            &group,
        ];
        kafka.tool("consumer.group.ConsumerGroupCommand", &reset)?;
    }
    fleet.start(&stages)?;
    fleet.wait_no_lag(FINISHED)?;

    assert!(
        fleet.records("results")?.len() > 2 * EVENTS,
        "the work was done again, from the first event on"
    );
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    assert_eq!(written(&fleet), before, "files, and when they were written");
    Ok(())
}

#[test]
fn a_recreated_topic_is_not_read_past_the_tables_position() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "anew", &[])?;
    let mut sent = Vec::new();
    send(&fleet, "first", &mut sent)?;

    // Offsets begin at zero again: the table would take the next events for those that it has.
    stop(&mut fleet, &["event-ingester", "event-writer"])?;
    let raw = fleet.topic("raw");
    kafka.tool("TopicCommand", &["--delete", "--topic", &raw])?;
    wait_until(STOPPED, "the topic is gone", || {
        (!kafka.topics().ok()?.contains(&raw)).then_some(())
    })?;
    kafka.create_topic(&raw, 6)?;
    fleet.spawn("event-writer", "event-writer", &[])?;
    let refusal = wait_until(FINISHED, "the event writer refuses the topic", || {
        let reasons = fleet["event-writer"].reasons()?.to_string();
        reasons.contains("recreated").then_some(reasons)
    })?;
    // The way out stands in the refusal, and works: a group prefix of its own for this worker.
    assert!(refusal.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "{refusal}");
    fleet["event-writer"].terminate(STOPPED)?;
    fleet
        .environment
        .retain(|(name, _)| name != "KAFKA_CONSUMER_GROUP_PREFIX" && name != "EVENTHUB_CONSUMER_GROUP");
    fleet
        .environment
        .push(("KAFKA_CONSUMER_GROUP_PREFIX".to_owned(), "anew-2".to_owned()));
    let stages = STAGES.map(|(stage, _, _)| stage);
    fleet.start(&stages)?;
    send(&fleet, "second", &mut sent)?;
    fleet.samples.fill_in(&mut sent)?;
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    Ok(())
}
