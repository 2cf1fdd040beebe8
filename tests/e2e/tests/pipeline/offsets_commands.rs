//! `offsets show|reset` and `topics create|list|lag` on a real Kafka, compared with Kafka's own tool.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use xact_testkit::command::{cells, wait_no_lag};
use xact_testkit::events::{RAW, good_event};
use xact_testkit::stages::TOPICS;
use xact_testkit::{Operator, groups, kcat};
use xact_testkit::{Result, tables, wait_until};

const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);
const WRITER: &str = "xact-event-writer";

/// Sends good events.
fn send(operator: &Operator, names: impl Iterator<Item = String>) -> Result<()> {
    for name in names {
        kcat::produce(operator.kafka.bootstrap(), RAW, &name, &good_event(&name))?;
    }
    Ok(())
}

/// `offsets show` of the writer: its partitions' numbers by partition.
fn show(operator: &Operator) -> Result<BTreeMap<i64, Value>> {
    let answer = operator.run(&["offsets", "show", "--group", WRITER, "--json"])?;
    let lines = answer.json_lines();
    answer.success()?;
    Ok(lines
        .into_iter()
        .map(|line| (line["partition"].as_i64().unwrap(), line))
        .collect())
}

/// Waits until the broker has noticed that the writers are gone.
fn wait_empty(operator: &Operator) -> Result<()> {
    wait_until(DONE, "the group is empty", || {
        let partitions = show(operator).ok()?;
        partitions
            .values()
            .all(|partition| partition["state"] == "Empty")
            .then_some(())
    })
}

fn sum(partitions: &BTreeMap<i64, Value>, name: &str) -> i64 {
    partitions
        .values()
        .filter_map(|partition| partition[name].as_i64())
        .sum()
}

/// Now, as an operator types it: Unix seconds are offsets to the command.
fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

#[test]
fn topics_are_created_and_listed_with_their_lag() -> Result<()> {
    let operator = Operator::start("offsets")?;
    let before = operator.run(&["topics", "list"])?.ended(1)?;
    assert_eq!(before.matches("missing").count(), TOPICS.len(), "{before}");
    let lag = operator.run(&["topics", "lag"])?.ended(1)?;
    assert!(lag.contains("Create them (`topics create`)"), "{lag}");
    let reset = operator
        .run(&["offsets", "reset", "--group", WRITER, "--to", "latest"])?
        .ended(2)?;
    assert!(reset.contains("topics create"), "{reset}");

    let created = operator.run(&["topics", "create"])?.success()?;
    let listed = operator.run(&["topics", "list"])?.success()?;
    let rows: Vec<Vec<&str>> = listed.lines().map(cells).collect();
    for (topic, partitions) in TOPICS {
        assert!(created.contains(&format!("created {topic}\n")), "{created}");
        let partitions = partitions.to_string();
        assert!(
            rows.contains(&vec![topic, &partitions, &partitions]),
            "{topic}: {listed}"
        );
    }
    send(&operator, (0..7).map(|number| format!("lag-{number}")))?;
    let lag = operator.run(&["topics", "lag", "--partitions"])?.success()?;
    let of_writer: u64 = lag
        .lines()
        .map(cells)
        .filter(|row| row.first() == Some(&WRITER))
        .filter_map(|row| row.last()?.parse::<u64>().ok())
        .sum();
    assert_eq!(of_writer, 7, "{lag}");
    let lag = operator.run(&["topics", "lag", "--oldest"])?.success()?;
    let rows: Vec<Vec<&str>> = lag
        .lines()
        .map(cells)
        .filter(|row| row.first() == Some(&WRITER))
        .collect();
    assert!(rows.len() == 1 && rows[0][1..3] == [RAW, "7"], "{lag}");
    assert!(rows[0].last().is_some_and(|age| age.ends_with(" ago")), "{lag}");
    Ok(())
}

#[test]
fn a_group_is_shown_and_reset_only_while_it_has_no_members() -> Result<()> {
    let operator = Operator::start("offsets")?;
    operator.run(&["topics", "create"])?.success()?;
    let mut running = operator.pipeline()?;
    send(&operator, (0..20).map(|number| format!("old-{number}")))?;
    wait_no_lag(DONE, operator.kafka.bootstrap(), &operator.dir)?;
    // Kafka's clock is the broker's, which is this machine's.
    let between = now();
    send(&operator, (0..10).map(|number| format!("new-{number}")))?;
    wait_no_lag(DONE, operator.kafka.bootstrap(), &operator.dir)?;

    // What it shows is what Kafka's own tool shows.
    let shown = show(&operator)?;
    assert_eq!((shown.len(), sum(&shown, "lag"), sum(&shown, "committed")), (6, 0, 30));
    assert_eq!((sum(&shown, "high"), sum(&shown, "in_tables")), (30, 30));
    for partition in shown.values() {
        assert_eq!(
            (&partition["state"], &partition["stage"]),
            (&"Stable".into(), &"event-writer".into())
        );
        assert_eq!(partition["members"].as_array().map(Vec::len), Some(1), "{partition}");
    }
    let positions = groups::positions(&operator.kafka)?;
    assert_eq!(positions[WRITER], (30, 0));
    let all = operator.run(&["offsets", "show"])?.success()?;
    for group in positions.keys() {
        assert!(all.contains(group), "{group}: {all}");
    }
    assert!(all.contains("note: xact-event-writer: xact_events keep"), "{all}");
    assert!(
        all.contains("note: xact-result-processor: xact_attachments and xact_attachments_failed keep"),
        "{all}"
    );

    // Members: refused, and the group stays where it is.
    let to = |target: &str, execute: bool| {
        let mut args = vec!["offsets", "reset", "--group", WRITER, "--to", target];
        args.extend(execute.then_some("--execute"));
        operator.run(&args)
    };
    let refused = to("earliest", true)?.ended(2)?;
    assert!(
        refused.contains("has 1 members") && refused.contains("stop every event-writer worker"),
        "{refused}"
    );
    assert_eq!(groups::positions(&operator.kafka)?[WRITER], (30, 0));

    assert_eq!(running.terminate(STOPPED)?, Some(0));
    wait_empty(&operator)?;
    // Without --execute it only says what it would do.
    let dry = to("earliest", false)?.success()?;
    assert!(
        dry.contains("30 offsets to be read again") && dry.contains("dry run"),
        "{dry}"
    );
    assert!(dry.contains("neither duplicates nor rewrites a row"), "{dry}");
    assert_eq!(sum(&show(&operator)?, "committed"), 30);

    // To a time: exactly what was written since is to be read again.
    let said = to(&between, true)?.success()?;
    assert!(
        said.contains("10 offsets to be read again") && said.contains("done"),
        "{said}"
    );
    assert_eq!(groups::positions(&operator.kafka)?[WRITER], (20, 10));
    // To an offset, of one partition alone.
    let (partition, high) = shown
        .iter()
        .map(|(partition, shown)| (*partition, shown["high"].as_i64().unwrap()))
        .max_by_key(|(_, high)| *high)
        .unwrap();
    let committed = |partition: i64| Ok::<_, xact_testkit::Error>(show(&operator)?[&partition]["committed"].clone());
    let others = sum(&show(&operator)?, "committed") - committed(partition)?.as_i64().unwrap();
    let one = [
        "offsets",
        "reset",
        "--group",
        WRITER,
        "--topic",
        RAW,
        "--partition",
        &partition.to_string(),
        "--to",
        "1",
        "--execute",
    ];
    operator.run(&one)?.success()?;
    assert_eq!(committed(partition)?, 1);
    assert_eq!(
        sum(&show(&operator)?, "committed"),
        others + 1,
        "no other partition moved"
    );
    let latest = to("latest", true)?.success()?;
    assert!(
        latest.contains("to be skipped without being read") && latest.contains("lost for this group"),
        "{latest}"
    );
    assert_eq!(sum(&show(&operator)?, "lag"), 0);

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
        let text = operator.run(&args)?.ended(2)?;
        assert!(text.contains(said), "{args:?}: {text}");
    }
    assert_eq!(sum(&show(&operator)?, "committed"), 30);

    // From the beginning again: all is read, and no row is there twice (the reader refuses a doubled key).
    to("earliest", true)?.success()?;
    let mut running = operator.pipeline()?;
    wait_no_lag(DONE, operator.kafka.bootstrap(), &operator.dir)?;
    assert_eq!(tables::read(&operator.dir.join("tables"))?.events.len(), 30);

    // Past unread records: the table's lower position does not bring them back.
    assert_eq!(running.terminate(STOPPED)?, Some(0));
    wait_empty(&operator)?;
    send(&operator, (0..6).map(|number| format!("skipped-{number}")))?;
    to("latest", true)?.success()?;
    let _running = operator.pipeline()?;
    send(&operator, (0..4).map(|number| format!("read-{number}")))?;
    wait_no_lag(DONE, operator.kafka.bootstrap(), &operator.dir)?;
    assert_eq!(tables::read(&operator.dir.join("tables"))?.events.len(), 34);
    Ok(())
}
