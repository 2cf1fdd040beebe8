//! `offsets show|reset` and `topics create|list|lag` on a real Kafka, compared with Kafka's own tool.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use xact_testkit::events::{RAW, good_event};
use xact_testkit::stages::TOPICS;
use xact_testkit::text::cells;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, groups};

const WRITER: &str = "xact-event-writer";

/// Sends good events.
fn send(fleet: &Fleet, names: impl Iterator<Item = String>) -> Result<()> {
    fleet.send_all("raw", names.map(|name| (name.clone(), good_event(&name))))
}

/// Returns the numbers of the writer's partitions as `offsets show` prints them, by partition.
fn show(fleet: &Fleet) -> Result<BTreeMap<i64, Value>> {
    let answer = fleet.run(&["offsets", "show", "--group", WRITER, "--json"])?;
    let lines = answer.json_lines();
    answer.success()?;
    Ok(lines
        .into_iter()
        .map(|line| (line["partition"].as_i64().unwrap(), line))
        .collect())
}

/// Waits until the broker has noticed that the writers are gone.
fn wait_empty(fleet: &Fleet) -> Result<()> {
    fleet.wait_until("the group is empty", || {
        let partitions = show(fleet).ok()?;
        partitions.values().all(|it| it["state"] == "Empty").then_some(())
    })
}

fn sum(partitions: &BTreeMap<i64, Value>, name: &str) -> i64 {
    partitions
        .values()
        .filter_map(|partition| partition[name].as_i64())
        .sum()
}

/// Returns the time as an operator types it: Unix seconds are offsets to the command.
fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

#[test]
fn topics_are_created_and_listed_with_their_lag() -> Result<()> {
    let kafka = Kafka::start()?;
    let fleet = Fleet::without_topics(kafka.bootstrap(), "xact", &[])?;
    let before = fleet.run(&["topics", "list"])?.ended(1)?;
    assert_eq!(before.matches("missing").count(), TOPICS.len(), "{before}");
    fleet
        .run(&["topics", "lag"])?
        .ended_with(1, &["Create them (`topics create`)"])?;
    let reset = ["offsets", "reset", "--group", WRITER, "--to", "latest"];
    fleet.run(&reset)?.ended_with(2, &["topics create"])?;

    let created = fleet.run(&["topics", "create"])?.success()?;
    let listed = fleet.run(&["topics", "list"])?.success()?;
    let rows: Vec<Vec<&str>> = listed.lines().map(cells).collect();
    for (topic, partitions) in TOPICS {
        assert_contains(&created, &[&format!("created {topic}\n")]);
        let partitions = partitions.to_string();
        let row = [topic, &partitions, &partitions];
        assert!(rows.iter().any(|cells| *cells == row), "{topic}: {listed}");
    }
    send(&fleet, (0..7).map(|number| format!("lag-{number}")))?;
    let lag = fleet.run(&["topics", "lag", "--partitions"])?.success()?;
    let of_writer = |lag: &str| -> Vec<Vec<String>> {
        let rows = lag.lines().map(cells).filter(|row| row.first() == Some(&WRITER));
        rows.map(|row| row.into_iter().map(str::to_owned).collect()).collect()
    };
    let rows = of_writer(&lag);
    let lags = rows.iter().filter_map(|row| row.last()?.parse::<u64>().ok());
    assert_eq!(lags.sum::<u64>(), 7, "{lag}");
    let lag = fleet.run(&["topics", "lag", "--oldest"])?.success()?;
    let rows = of_writer(&lag);
    assert!(rows.len() == 1 && rows[0][1..3] == [RAW, "7"], "{lag}");
    assert!(rows[0].last().is_some_and(|age| age.ends_with(" ago")), "{lag}");
    Ok(())
}

#[test]
fn a_group_is_shown_and_reset_only_while_it_has_no_members() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &[])?;
    fleet.start_pipeline()?;
    send(&fleet, (0..20).map(|number| format!("old-{number}")))?;
    fleet.wait_no_lag()?;
    // Kafka's clock is the broker's, which is this machine's.
    let between = now();
    send(&fleet, (0..10).map(|number| format!("new-{number}")))?;
    fleet.wait_no_lag()?;

    // What it shows is what Kafka's own tool shows.
    let shown = show(&fleet)?;
    let sums = ["lag", "committed", "high", "in_tables"].map(|name| sum(&shown, name));
    assert_eq!((shown.len(), sums), (6, [0, 30, 30, 30]));
    for partition in shown.values() {
        assert_eq!([&partition["state"], &partition["stage"]], ["Stable", "event-writer"]);
        assert_eq!(partition["members"].as_array().map(Vec::len), Some(1), "{partition}");
    }
    let positions = groups::positions(&kafka)?;
    assert_eq!(positions[WRITER], (30, 0));
    let all = fleet.run(&["offsets", "show"])?.success()?;
    for group in positions.keys() {
        assert!(all.contains(group), "{group}: {all}");
    }
    assert_contains(
        &all,
        &[
            "note: xact-event-writer: xact_events keep",
            "note: xact-result-processor: xact_attachments and xact_attachments_failed keep",
        ],
    );

    // Members: refused, and the group stays where it is.
    let to = |fleet: &Fleet, target: &str, more: &[&str]| {
        fleet.run(&[&["offsets", "reset", "--group", WRITER, "--to", target], more].concat())
    };
    let execute = ["--execute"];
    let refused = ["has 1 members", "stop every event-writer worker"];
    to(&fleet, "earliest", &execute)?.ended_with(2, &refused)?;
    assert_eq!(groups::positions(&kafka)?[WRITER], (30, 0));

    fleet.stop(&["pipeline"])?;
    wait_empty(&fleet)?;
    // Without --execute it only reports what it would do.
    let dry_run = [
        "30 offsets to be read again",
        "dry run",
        "neither duplicates nor rewrites a row",
    ];
    to(&fleet, "earliest", &[])?.ended_with(0, &dry_run)?;
    assert_eq!(sum(&show(&fleet)?, "committed"), 30);

    // To a time: exactly what was written since is to be read again.
    to(&fleet, &between, &execute)?.ended_with(0, &["10 offsets to be read again", "done"])?;
    assert_eq!(groups::positions(&kafka)?[WRITER], (20, 10));
    // To an offset, of one partition alone.
    let highs = shown
        .iter()
        .map(|(partition, shown)| (*partition, shown["high"].as_i64().unwrap()));
    let (partition, high) = highs.max_by_key(|(_, high)| *high).unwrap();
    let before = show(&fleet)?;
    let others = sum(&before, "committed") - before[&partition]["committed"].as_i64().unwrap();
    let of_one = ["--topic", RAW, "--partition", &partition.to_string(), "--execute"];
    to(&fleet, "1", &of_one)?.success()?;
    let after = show(&fleet)?;
    assert_eq!(after[&partition]["committed"], 1);
    assert_eq!(sum(&after, "committed"), others + 1, "no other partition moved");
    let lost = ["to be skipped without being read", "lost for this group"];
    to(&fleet, "latest", &execute)?.ended_with(0, &lost)?;
    assert_eq!(sum(&show(&fleet)?, "lag"), 0);

    // An impossible reset is reported and changes nothing.
    let beyond = (high + 1).to_string();
    for (args, said) in [
        (
            vec!["--group", "nobody", "--to", "latest"],
            "there is no group \"nobody\"",
        ),
        (
            vec!["--group", WRITER, "--topic", "other", "--to", "latest"],
            "does not read \"other\"; it reads xact.events.raw",
        ),
        (
            vec!["--group", WRITER, "--partition", "99", "--to", "latest"],
            "no partition 99",
        ),
        (vec!["--group", WRITER, "--to", &beyond], "is not in xact.events.raw["),
        (vec!["--group", WRITER, "--to", "soon"], "earliest, latest, a time"),
        (vec!["--group", WRITER, "--to", "2099-01-01"], "in the future"),
    ] {
        let args: Vec<&str> = ["offsets", "reset", "--execute"].into_iter().chain(args).collect();
        fleet.run(&args)?.ended_with(2, &[said])?;
    }
    assert_eq!(sum(&show(&fleet)?, "committed"), 30);

    // From the beginning again: all is read, and no row is there twice (the reader refuses a doubled key).
    to(&fleet, "earliest", &execute)?.success()?;
    fleet.start_pipeline()?;
    fleet.wait_no_lag()?;
    assert_eq!(fleet.tables()?.events.len(), 30);

    // Past unread records: the table's lower position does not bring them back.
    fleet.stop(&["pipeline"])?;
    wait_empty(&fleet)?;
    send(&fleet, (0..6).map(|number| format!("skipped-{number}")))?;
    to(&fleet, "latest", &execute)?.success()?;
    fleet.start_pipeline()?;
    send(&fleet, (0..4).map(|number| format!("read-{number}")))?;
    fleet.wait_no_lag()?;
    assert_eq!(fleet.tables()?.events.len(), 34);
    Ok(())
}
