//! `table info`, `optimize`, `vacuum` and `checkpoint` on tables that the pipeline wrote: Python's readers return the same rows
//! afterwards, a repeated event adds no row, and each command reports what it cost in OneLake.

use std::time::Duration;

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::event;
use xact_testkit::sent::Sent;
use xact_testkit::{Fleet, command, failed, kcat};
use xact_testkit::{Kafka, Result, wait_until};

const FINISHED: Duration = Duration::from_secs(120);

fn table(fleet: &Fleet, args: &[&str]) -> Result<String> {
    let all = [&["table"], args].concat();
    command(&all, fleet.environment.clone(), &fleet.dir)?.success()
}

fn info(fleet: &Fleet) -> Result<Vec<Value>> {
    let text = table(fleet, &["info", "--json"])?;
    let value: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string(), text))?;
    value
        .as_array()
        .cloned()
        .ok_or_else(|| failed("table info --json", value.to_string()))
}

#[test]
fn a_compacted_and_vacuumed_table_has_the_same_rows_and_accepts_no_duplicate() -> Result<()> {
    let kafka = Kafka::start()?;
    let fleet = Fleet::whole(kafka.bootstrap(), "upkeep", &[])?;
    let mut sent = Vec::new();
    // Three batches: three files a table at least.
    for round in 0..3 {
        for number in 0..10 {
            let trace_id = format!("upkeep-{round}-{number}");
            let url = |kind: &str| format!("https://claimxperience.com/{kind}/3000/{trace_id}/{kind}.pdf");
            let bytes = event(&trace_id, &json!([url("ok"), url("missing")]));
            fleet.send("raw", &trace_id, &bytes)?;
            sent.push(Sent::read(&trace_id, &bytes));
        }
        fleet.wait_no_lag(FINISHED)?;
    }
    fleet.samples.fill_in(&mut sent)?;
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    let files = |tables: &[Value]| -> Vec<u64> { tables.iter().filter_map(|table| table["files"].as_u64()).collect() };
    let tables = info(&fleet)?;
    assert!(
        tables.iter().all(|table| table.get("requests").is_none()),
        "a local lake has no bill: {tables:?}"
    );
    let before = files(&tables);
    assert_eq!(before.len(), 3, "tables");
    assert!(before.iter().all(|&files| files >= 3), "{before:?}");

    println!("{}", table(&fleet, &["optimize"])?);
    assert_eq!(files(&info(&fleet)?), [1, 1, 1], "one date, one file");
    println!("{}", table(&fleet, &["checkpoint"])?);
    let hasty = ["table", "vacuum", "--retain-hours", "1", "--yes"];
    let hasty = command(&hasty, fleet.environment.clone(), &fleet.dir)?;
    assert_ne!(hasty.code, Some(0), "{}", hasty.text);
    assert!(hasty.text.contains("168"), "{}", hasty.text);
    let listed = table(&fleet, &["vacuum", "--retain-hours", "0", "--allow-short-retention"])?;
    println!("{listed}");
    println!(
        "{}",
        table(
            &fleet,
            &["vacuum", "--retain-hours", "0", "--allow-short-retention", "--yes"]
        )?
    );
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());

    // The same work arrives again: its keys are found in the compacted files.
    for topic in ["raw", "results"] {
        for record in fleet.records(topic)? {
            kcat::produce(&fleet.broker, &fleet.topic(topic), &record.key, &record.value)?;
        }
    }
    fleet.wait_no_lag(FINISHED)?;
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    println!("{}", table(&fleet, &["info"])?);
    Ok(())
}

#[test]
fn commands_on_missing_tables_fail() -> Result<()> {
    let kafka = Kafka::shared()?;
    let fleet = Fleet::new(kafka.bootstrap(), "no-tables", &[])?;
    let answer = command(&["table", "optimize"], fleet.environment.clone(), &fleet.dir)?;
    assert_ne!(answer.code, Some(0), "{}", answer.text);
    assert!(answer.text.contains("xact_events"), "{}", answer.text);
    Ok(())
}

#[test]
fn each_command_reports_what_one_lake_bills_for_it() -> Result<()> {
    let (mut fleet, lake, _identity) = one_lake::fleet("table-costs", &[])?;
    fleet.start(&["event-writer"])?;
    for round in 1..=3 {
        let trace_id = format!("table-costs-{round}");
        fleet.send("raw", &trace_id, &event(&trace_id, &json!([])))?;
        wait_until(FINISHED, "the event is written", || {
            let metrics = fleet["event-writer"].metrics().ok()?;
            (metrics.sum("delta_events_written_total", &[]) == f64::from(round)).then_some(())
        })?;
    }
    fleet.stop(&["event-writer"], FINISHED)?;
    let vacuum = ["vacuum", "--retain-hours", "0", "--allow-short-retention", "--yes"];
    let commands: [(&[&str], Option<&str>); 4] = [
        (&["info"], None),
        (&["optimize"], Some("write")),
        (&["checkpoint"], Some("write")),
        (&vacuum, Some("delete")),
    ];
    for (arguments, change) in commands {
        lake.admin("DELETE", "requests", "")?;
        let text = table(&fleet, &[arguments, &["--table", "events", "--json"]].concat())?;
        let answers: Vec<Value> = serde_json::from_str(&text).map_err(|error| failed(error.to_string(), text))?;
        let (answer, bill) = (&answers[0], &lake.requests()?["bill"]);
        assert_eq!(answer["requests"], bill["total"]["requests"], "{arguments:?}");
        assert_eq!(answer["cu_seconds"], bill["total"]["cu_seconds"], "{arguments:?}");
        let billed: Vec<_> = bill["classes"].as_object().into_iter().flatten().collect();
        for (class, charge) in &billed {
            let stated = &answer["billing"][class];
            assert_eq!(stated["requests"], charge["requests"], "{arguments:?}: {class}");
            assert_eq!(stated["cu_seconds"], charge["cu_seconds"], "{arguments:?}: {class}");
        }
        assert_eq!(
            answer["billing"].as_object().map(serde_json::Map::len),
            Some(billed.len())
        );
        let changed = ["write", "delete"].map(|class| !answer["billing"][class].is_null());
        assert_eq!(changed.contains(&true), change.is_some(), "{arguments:?}: {answer}");
        assert!(
            change.is_none_or(|class| !answer["billing"][class].is_null()),
            "{arguments:?}: {answer}"
        );
    }
    lake.admin("DELETE", "requests", "")?;
    let text = table(&fleet, &["info", "--table", "events"])?;
    let requests = &lake.requests()?["bill"]["total"]["requests"];
    assert!(
        text.contains(&format!("xact_events: OneLake: {requests} requests, ")),
        "{requests}: {text}"
    );
    Ok(())
}
