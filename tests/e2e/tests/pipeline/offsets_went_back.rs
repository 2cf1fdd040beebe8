//! Topic, committed offsets and tables disagree because offsets were reset or a topic was recreated. No row is duplicated, no
//! file is written again, and nothing is skipped silently.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::json;

use xact_testkit::pipeline::files_below;
use xact_testkit::stages::STAGES;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, stages};

const EVENTS: usize = 20;

/// Sends events with a good and a missing attachment each, and waits until all is done.
fn send(fleet: &mut Fleet, name: &str) -> Result<()> {
    for number in 0..EVENTS {
        let trace_id = format!("{name}-{number}");
        let url = |kind: &str| format!("https://claimxperience.com/{kind}/3000/{trace_id}/{kind}.pdf");
        fleet.send_event(&trace_id, &json!([url("ok"), url("missing")]))?;
    }
    fleet.wait_no_lag()
}

/// Returns every file of the lake with the time at which it was written.
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
    send(&mut fleet, "reset")?;
    fleet.assert_exactly_what_was_sent()?;
    let before = written(&fleet);
    assert_eq!(before.len(), EVENTS);

    fleet.stop(&stages::names())?;
    for (_, group, _) in STAGES {
        let group = fleet.group(group);
        let mut reset = vec!["--reset-offsets", "--to-earliest", "--all-topics", "--execute"];
        reset.extend(["--group", &group]);
        kafka.tool("consumer.group.ConsumerGroupCommand", &reset)?;
    }
    fleet.start_all()?;
    fleet.wait_no_lag()?;

    let results = fleet.records("results")?.len();
    assert!(
        results > 2 * EVENTS,
        "the work was done again, from the first event on: {results} results"
    );
    fleet.assert_exactly_what_was_sent()?;
    assert_eq!(written(&fleet), before, "files, and when they were written");
    Ok(())
}

#[test]
fn a_recreated_topic_is_not_read_past_the_tables_position() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "recreated", &[])?;
    send(&mut fleet, "first")?;

    // Offsets begin at zero again: by its position the table would take the next events for those that it has.
    fleet.stop(&["event-ingester", "event-writer"])?;
    let raw = fleet.topic("raw");
    kafka.tool("TopicCommand", &["--delete", "--topic", &raw])?;
    fleet.wait_until("the topic is deleted", || {
        (!kafka.topics().ok()?.contains(&raw)).then_some(())
    })?;
    kafka.create_topic(&raw, 6)?;
    fleet.spawn("event-writer", "event-writer", &[])?;
    let reason = fleet["event-writer"].wait_until("the event writer refuses the topic", || {
        let reasons = fleet["event-writer"].reasons()?.to_string();
        reasons.contains("recreated").then_some(reasons)
    })?;
    // The remedy is in the reason, and works: another group prefix for this worker.
    assert_contains(&reason, &["KAFKA_CONSUMER_GROUP_PREFIX"]);
    fleet.stop(&["event-writer"])?;
    let groups = ["KAFKA_CONSUMER_GROUP_PREFIX", "EVENTHUB_CONSUMER_GROUP"];
    fleet.environment.retain(|(name, _)| !groups.contains(&name.as_str()));
    fleet.environment.push((groups[0].to_owned(), "recreated-2".to_owned()));
    fleet.start_all()?;
    send(&mut fleet, "second")?;
    fleet.assert_exactly_what_was_sent()
}
