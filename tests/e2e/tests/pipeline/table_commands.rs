//! `table info`, `optimize`, `vacuum` and `checkpoint` on tables that the pipeline wrote: what Python's readers see stays
//! the same, and what is sent again afterwards adds no row.

use harness::{Kafka, Result};
use serde_json::{Value, json};
use std::time::Duration;
use xact_e2e::compare::assert_exactly_what_was_sent;
use xact_e2e::events::event;
use xact_e2e::sent::Sent;
use xact_e2e::{Fleet, command, failed, kcat};

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
fn a_table_that_was_compacted_and_vacuumed_reads_the_same_and_takes_no_row_twice() -> Result<()> {
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
    let before = files(&info(&fleet)?);
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
fn tables_that_are_not_there_yet_are_no_success() -> Result<()> {
    let kafka = Kafka::shared()?;
    let fleet = Fleet::new(kafka.bootstrap(), "no-tables", &[])?;
    let answer = command(&["table", "optimize"], fleet.environment.clone(), &fleet.dir)?;
    assert_ne!(answer.code, Some(0), "{}", answer.text);
    assert!(answer.text.contains("xact_events"), "{}", answer.text);
    Ok(())
}
