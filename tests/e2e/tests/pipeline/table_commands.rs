//! `table info`, `optimize`, `vacuum` and `checkpoint` on tables that the pipeline wrote: Python's readers return the same rows
//! afterwards, a repeated event adds no row, and each command reports what it cost in OneLake.

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::events::event;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, context, kcat};

fn table(fleet: &Fleet, args: &[&str]) -> Result<String> {
    fleet.run(&[&["table"], args].concat())?.success()
}

fn table_json(fleet: &Fleet, args: &[&str]) -> Result<Vec<Value>> {
    let text = table(fleet, &[args, &["--json"]].concat())?;
    serde_json::from_str(&text).map_err(context(text))
}

#[test]
fn a_compacted_and_vacuumed_table_has_the_same_rows_and_accepts_no_duplicate() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "upkeep", &[])?;
    // Three batches: three files a table at least.
    for round in 0..3 {
        for number in 0..10 {
            let trace_id = format!("upkeep-{round}-{number}");
            let url = |kind: &str| format!("https://claimxperience.com/{kind}/3000/{trace_id}/{kind}.pdf");
            fleet.send_event(&trace_id, &json!([url("ok"), url("missing")]))?;
        }
        fleet.wait_no_lag()?;
    }
    fleet.assert_exactly_what_was_sent()?;
    let files = |tables: &[Value]| -> Vec<u64> { tables.iter().filter_map(|table| table["files"].as_u64()).collect() };
    let tables = table_json(&fleet, &["info"])?;
    let is_billed = tables.iter().any(|table| table.get("requests").is_some());
    assert!(!is_billed, "a local lake has no bill: {tables:?}");
    let before = files(&tables);
    assert_eq!(before.len(), 3, "tables");
    assert!(before.iter().all(|&files| files >= 3), "{before:?}");

    table(&fleet, &["optimize"])?;
    assert_eq!(files(&table_json(&fleet, &["info"])?), [1, 1, 1], "one date, one file");
    table(&fleet, &["checkpoint"])?;
    let hasty = fleet.run(&["table", "vacuum", "--retain-hours", "1", "--yes"])?;
    assert_ne!(hasty.code, Some(0), "{}", hasty.text);
    assert_contains(&hasty.text, &["168"]);
    let vacuum = ["vacuum", "--retain-hours", "0", "--allow-short-retention"];
    table(&fleet, &vacuum)?;
    table(&fleet, &[&vacuum[..], &["--yes"]].concat())?;
    fleet.assert_exactly_what_was_sent()?;

    // The same work arrives again: its keys are found in the compacted files.
    for topic in ["raw", "results"] {
        for record in fleet.records(topic)? {
            kcat::produce(&fleet.broker, &fleet.topic(topic), &record.key, &record.value)?;
        }
    }
    fleet.wait_no_lag()?;
    fleet.assert_exactly_what_was_sent()?;
    table(&fleet, &["info"]).map(drop)
}

#[test]
fn commands_on_missing_tables_fail() -> Result<()> {
    let fleet = Fleet::shared("no-tables", &[])?;
    let answer = fleet.run(&["table", "optimize"])?;
    assert_ne!(answer.code, Some(0), "{}", answer.text);
    assert_contains(&answer.text, &["xact_events"]);
    Ok(())
}

#[test]
fn each_command_reports_what_one_lake_bills_for_it() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("table-costs", &[])?;
    fleet.start(&["event-writer"])?;
    for round in 1..=3 {
        let trace_id = format!("table-costs-{round}");
        fleet.send("raw", &trace_id, &event(&trace_id, &json!([])))?;
        fleet["event-writer"].wait_sum("delta_events_written_total", f64::from(round))?;
    }
    fleet.stop(&["event-writer"])?;
    let vacuum = ["vacuum", "--retain-hours", "0", "--allow-short-retention", "--yes"];
    let commands: [(&[&str], Option<&str>); 4] = [
        (&["info"], None),
        (&["optimize"], Some("write")),
        (&["checkpoint"], Some("write")),
        (&vacuum, Some("delete")),
    ];
    for (arguments, change) in commands {
        lake.admin("DELETE", "requests", "")?;
        let answers = table_json(&fleet, &[arguments, &["--table", "events"]].concat())?;
        let (answer, bill) = (&answers[0], lake.bill()?);
        assert_eq!(answer["requests"], bill["total"]["requests"], "{arguments:?}");
        assert_eq!(answer["cu_seconds"], bill["total"]["cu_seconds"], "{arguments:?}");
        let billed: Vec<_> = bill["classes"].as_object().into_iter().flatten().collect();
        for (class, charge) in &billed {
            let stated = &answer["billing"][class];
            for figure in ["requests", "cu_seconds"] {
                assert_eq!(stated[figure], charge[figure], "{arguments:?}: {class}");
            }
        }
        let classes = answer["billing"].as_object().map(serde_json::Map::len);
        assert_eq!(classes, Some(billed.len()));
        let changed = ["write", "delete"].map(|class| !answer["billing"][class].is_null());
        assert_eq!(changed.contains(&true), change.is_some(), "{arguments:?}: {answer}");
        let is_billed = change.is_none_or(|class| !answer["billing"][class].is_null());
        assert!(is_billed, "{arguments:?}: {answer}");
    }
    lake.admin("DELETE", "requests", "")?;
    let text = table(&fleet, &["info", "--table", "events"])?;
    let requests = &lake.bill()?["total"]["requests"];
    assert_contains(&text, &[&format!("xact_events: OneLake: {requests} requests, ")]);
    Ok(())
}

#[test]
fn maintain_does_what_is_needed_within_its_limits_and_states_the_whole_cost() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("maintain", &[])?;
    fleet.start(&["event-writer"])?;
    for round in 1..=3 {
        let trace_id = format!("maintain-{round}");
        fleet.send("raw", &trace_id, &event(&trace_id, &json!([])))?;
        fleet["event-writer"].wait_sum("delta_events_written_total", f64::from(round))?;
    }
    let maintain = |arguments: &[&str]| -> Result<Value> {
        lake.admin("DELETE", "requests", "")?;
        let answer = fleet.run(&[&["maintain", "--json"], arguments].concat())?;
        let answer = answer.json_lines().remove(0);
        let (stated, billed) = (
            answer["cu_seconds"].as_f64(),
            lake.bill()?["total"]["cu_seconds"].as_f64(),
        );
        let difference = stated.zip(billed).map(|(stated, billed)| (stated - billed).abs());
        assert!(
            difference.is_some_and(|difference| difference < 1e-6),
            "{answer}: {billed:?}"
        );
        Ok(answer)
    };
    // Reading the first log costs more than this.
    let stopped = maintain(&["--max-cu-seconds", "0.001"])?;
    assert_eq!(stopped["stopped_by"], "--max-cu-seconds", "{stopped}");
    assert_eq!(stopped["leftovers"], Value::Null, "{stopped}");
    let plan = maintain(&["--dry-run"])?;
    for class in ["write", "delete", "iterative_write"] {
        assert_eq!(
            lake.bill()?["classes"][class],
            Value::Null,
            "a dry run changes nothing: {plan}"
        );
    }
    let of_events = &plan["tables"][0];
    let planned = ["table", "small_files", "commits", "checkpoint", "log_entries"].map(|name| of_events[name].clone());
    let expected = [json!("xact_events"), json!(3), json!(1), json!(4), json!(0)];
    assert_eq!((planned, &plan["changes"]), (expected, &json!(true)), "{plan}");
    let done = maintain(&[])?;
    assert_eq!(done["stopped_by"], Value::Null, "{done}");
    assert_eq!(done["leftovers"]["files"], json!([]), "{done}");
    let of_events = |name: &str| {
        let steps = done["steps"].as_array().into_iter().flatten();
        let values: Vec<Value> = steps
            .filter(|step| step["table"] == "xact_events")
            .map(|step| step[name].clone())
            .collect();
        values.into_iter().find(|value| !value.is_null())
    };
    assert_eq!(of_events("files_before"), Some(json!(3)), "{done}");
    assert_eq!(of_events("checkpoint"), Some(json!(4)), "{done}");
    assert_eq!(
        of_events("unused_files"),
        Some(json!([])),
        "they are younger than a week: {done}"
    );
    // Tables without rows do not exist.
    assert_contains(&done.to_string(), &["\"missing\":true"]);
    // Nothing is left to rewrite, and no checkpoint is needed.
    let again = maintain(&[])?;
    assert_eq!(again["steps"].as_array().map(Vec::len), Some(4), "{again}");
    assert_eq!(maintain(&["--dry-run"])?["changes"], false);

    // A damaged table is reported, and keeps nothing else from being maintained.
    let log = fleet.dir.join("tables/xact_events/_delta_log");
    std::fs::write(log.join("00000000000000000005.json"), "not JSON").map_err(context(log.display().to_string()))?;
    let damaged = maintain(&[])?;
    assert_eq!(damaged["failures"][0]["of"], "xact_events", "{damaged}");
    assert_eq!(damaged["steps"].as_array().map(Vec::len), Some(3), "{damaged}");
    assert_eq!(damaged["leftovers"]["files"], json!([]), "{damaged}");
    fleet.run(&["maintain"])?.ended_with(1, &["xact_events: "])?;
    Ok(())
}
