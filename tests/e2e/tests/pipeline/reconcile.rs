//! `reconcile` on a real Kafka: it finds exactly the planted losses and duplicates, with and without the raw topic. A run without
//! faults is reported as clean, also while it is unfinished.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::events::{RAW, event};
use xact_testkit::{Fleet, Kafka, Result, ids, ports, python, tables};

const SECRET: &str = "PLANTEDSIGNATURE";
const DAY: [&str; 4] = ["--from", "2024-12-31", "--to", "2025-01-01T00:00:00Z"];

/// Returns the object that `reconcile --json` prints, and its exit code.
fn reconcile(fleet: &Fleet, range: &[&str]) -> Result<(Value, Option<i32>)> {
    let answer = fleet.run(&[&["reconcile", "--json"], range].concat())?;
    let object = answer.json_lines().pop().unwrap_or_else(|| panic!("{}", answer.text));
    Ok((object, answer.code))
}

fn change(fleet: &Fleet, what: &str, table: &str, args: &[&str]) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../change_rows.py");
    let table = fleet.dir.join("tables").join(table).display().to_string();
    python::run_script(&script, [&[what, &table], args].concat()).map(drop)
}

fn url(trace_id: &str, kind: &str, query: &str) -> String {
    format!("https://claimxperience.com/{kind}/2000/{trace_id}/a.pdf?{query}sig={SECRET}")
}

/// Kind, trace id and media id of what is missing.
type Missing = BTreeSet<[String; 3]>;
/// Table, key and number of rows of each duplicate.
type Duplicates = BTreeSet<(String, String, u64)>;

/// Returns what was reported.
fn found(answer: &Value) -> (Missing, Duplicates) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let missing = answer["missing"].as_array().unwrap().iter();
    let missing = missing.map(|it| ["what", "trace_id", "media_id"].map(|name| text(&it[name])));
    let duplicates = answer["duplicates"].as_array().unwrap().iter();
    let duplicates = duplicates.map(|it| (text(&it["table"]), text(&it["key"]), it["rows"].as_u64().unwrap()));
    (missing.collect(), duplicates.collect())
}

#[test]
fn planted_losses_and_duplicates_are_found_and_nothing_else() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &[])?;
    let good: Vec<String> = (0..8).map(|number| format!("good-{number}")).collect();
    let bad: Vec<String> = (0..4).map(|number| format!("bad-{number}")).collect();
    for (names, kind) in [(&good, "ok"), (&bad, "missing")] {
        for name in names {
            let event = event(name, &json!([url(name, kind, "")]));
            fleet.send("raw", name, &event)?;
        }
    }
    // Two attachments that only their signed part tells apart, one of them named twice; and an event of another day.
    let twins = ["id=1&", "id=2&", "id=1&"].map(|query| url("twins", "ok", query));
    fleet.send("raw", "twins", &event("twins", &json!(twins)))?;
    let other = String::from_utf8(event("other-day", &json!([url("other-day", "ok", "")]))).unwrap();
    let other = other.replace("2024-12-31", "2025-01-01");
    fleet.send("raw", "other-day", other.as_bytes())?;

    // No stage has read them: everything is waiting, nothing is missing.
    let (answer, code) = reconcile(&fleet, &DAY)?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["events"], json!({"all": 13, "waiting": 13, "by_table_alone": 0}));
    assert_eq!(
        (&answer["attachments"]["all"], &answer["attachments"]["waiting"]),
        (&json!(14), &json!({"raw": 14}))
    );

    fleet.start_pipeline()?;
    fleet.wait_no_lag()?;
    fleet.stop(&["pipeline"])?;
    let (answer, code) = reconcile(&fleet, &DAY)?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["events"], json!({"all": 13, "waiting": 0, "by_table_alone": 0}));
    let attachments = json!({"all": 14, "completed": 10, "failed": 4, "waiting": {}});
    assert_eq!(answer["attachments"], attachments);
    let both_days = ["--from", "2024-12-31", "--to", "2025-01-02"];
    assert_eq!(reconcile(&fleet, &both_days)?.0["events"]["all"], 14);
    let morning = ["--from", "2024-12-30", "--to", "2024-12-31T12:00:00Z"];
    assert_eq!(reconcile(&fleet, &morning)?.0["events"]["all"], 0);
    let text = [&["reconcile"], &DAY[..]].concat();
    fleet
        .run(&text)?
        .ended_with(0, &["Every attachment is in exactly one place."])?;

    let (completed, failed) = ("xact_attachments", "xact_attachments_failed");
    change(&fleet, "delete", completed, &["trace_id = 'good-0'"])?;
    change(&fleet, "delete", failed, &["trace_id = 'bad-0'"])?;
    change(&fleet, "delete", "xact_events", &["trace_id = 'good-1'"])?;
    let twin = ids::media_id("twins", &twins[1]);
    change(&fleet, "delete", completed, &[&format!("media_id = '{twin}'")])?;
    change(&fleet, "copy", completed, &["good-2"])?;
    change(&fleet, "copy", failed, &["bad-2"])?;
    change(&fleet, "copy", "xact_events", &["good-3"])?;
    let media = |name: &str, kind: &str| ids::media_id(name, &url(name, kind, ""));
    // An attachment that has ended twice: as a file and as a failure.
    let twice = [
        "bad-3",
        "trace_id=good-4",
        &format!("media_id={}", media("good-4", "ok")),
    ];
    change(&fleet, "copy", failed, &twice)?;

    let missing = |with_ids: bool| {
        let id = |id: String| if with_ids { id } else { String::new() };
        let missing = [
            ("attachment", "good-0", id(media("good-0", "ok"))),
            ("attachment", "bad-0", id(media("bad-0", "missing"))),
            ("attachment", "twins", id(twin.clone())),
            ("event row", "good-1", String::new()),
        ];
        BTreeSet::from(missing.map(|(what, trace_id, id)| [what.to_owned(), trace_id.to_owned(), id]))
    };
    let duplicates = BTreeSet::from([
        ("xact_events".to_owned(), ids::event_id("good-3"), 2),
        (completed.to_owned(), media("good-2", "ok"), 2),
        (
            failed.to_owned(),
            format!("{}, replay_count 0", media("bad-2", "missing")),
            2,
        ),
        (format!("{completed} and {failed}"), media("good-4", "ok"), 2),
    ]);
    let (answer, code) = reconcile(&fleet, &DAY)?;
    assert_eq!(code, Some(1));
    assert_eq!(found(&answer), (missing(true), duplicates.clone()), "{answer}");
    let told = fleet.run(&text)?.ended_with(1, &[&media("good-0", "ok")])?;
    assert!(!told.contains("exactly one place"), "{told}");
    // The day after is clean.
    let day_after = ["--from", "2025-01-01", "--to", "2025-01-02"];
    assert_eq!(reconcile(&fleet, &day_after)?.1, Some(0));

    // The raw topic has expired them: only the tables still have them, without ids.
    let ends = kafka.end_offsets(RAW)?;
    let partitions = ends.iter().enumerate();
    let partitions: Vec<Value> = partitions
        .map(|(partition, end)| json!({"topic": RAW, "partition": partition, "offset": end}))
        .collect();
    let file = fleet.dir.join("delete.json");
    fs::write(&file, json!({"partitions": partitions, "version": 1}).to_string()).unwrap();
    let offsets = ["--offset-json-file", &file.display().to_string()];
    kafka.tool("DeleteRecordsCommand", &offsets)?;
    let (answer, code) = reconcile(&fleet, &DAY)?;
    assert_eq!(code, Some(1));
    assert_eq!(answer["events"]["by_table_alone"], 12, "{answer}");
    assert_eq!(found(&answer), (missing(false), duplicates.clone()), "{answer}");
    // So do those of decades, of which most days are nowhere.
    let decades = ["--from", "1995-01-01", "--to", "2025-01-02"];
    let (answer, code) = reconcile(&fleet, &decades)?;
    assert_eq!(code, Some(1));
    assert_eq!(answer["events"]["by_table_alone"], 13, "{answer}");
    assert_eq!(found(&answer), (missing(false), duplicates), "{answer}");
    Ok(())
}

#[test]
fn each_date_is_recorded_whatever_was_found() -> Result<()> {
    let mut fleet = Fleet::shared("record", &[])?;
    for name in ["kept", "lost"] {
        fleet.send("raw", name, &event(name, &json!([url(name, "ok", "")])))?;
    }
    fleet.start_pipeline()?;
    fleet.wait_no_lag()?;
    fleet.stop(&["pipeline"])?;
    change(&fleet, "delete", "xact_attachments", &["trace_id = 'lost'"])?;

    let two_days = ["--from", "2024-12-31", "--to", "2025-01-02", "--record"];
    let (first, code) = reconcile(&fleet, &two_days)?;
    assert_eq!(code, Some(1), "{first}");
    // A later check of a date is another row.
    let (second, code) = reconcile(&fleet, &[&DAY[..], &["--record"]].concat())?;
    assert_eq!(code, Some(1), "{second}");
    let (yesterday, code) = reconcile(&fleet, &["--yesterday", "--record"])?;
    assert_eq!(code, Some(0), "{yesterday}");

    let recorded = [&first, &second, &yesterday].map(|answer| &answer["recorded"]);
    let table = fleet.dir.join("tables/xact_reconciliation").display().to_string();
    assert!(recorded[0]["table"].as_str().unwrap().ends_with(&table), "{first}");
    assert_eq!(recorded.map(|it| it["rows"].clone()), [2, 1, 1].map(Value::from));
    let row = |date: &str, check: &Value, events: u64| {
        let lost = events / 2;
        json!({
            "event_date": date, "checked_at": check["checked_at"], "events": events, "events_waiting": 0,
            "events_by_table_alone": 0, "attachments": events, "completed": events - lost, "failed": 0, "waiting": 0,
            "missing": lost, "duplicate": 0, "unreadable": 0, "unlisted": 0, "well": lost == 0, "cu_seconds": null,
            "program_version": env!("CARGO_PKG_VERSION"),
        })
    };
    let day_before = yesterday["from"].as_str().unwrap().split('T').next().unwrap();
    let mut rows = tables::read(&fleet.dir.join("tables"))?.reconciliation;
    rows.sort_by_key(|row| format!("{}{}", row["checked_at"], row["event_date"]));
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("reconciliation_id");
    }
    let expected = [
        row("2024-12-31", recorded[0], 2),
        row("2025-01-01", recorded[0], 0),
        row("2024-12-31", recorded[1], 2),
        row(day_before, recorded[2], 0),
    ];
    assert_eq!(rows, expected);
    let info = fleet
        .run(&["table", "info", "--table", "reconciliation", "--json"])?
        .success()?;
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!((&info[0]["rows"], &info[0]["positions"]), (&json!(4), &json!({})));

    // What was found is printed also if it cannot be recorded.
    let in_the_way = fleet.dir.join("in-the-way");
    fs::write(&in_the_way, "").unwrap();
    let place = format!("file://{}/xact_reconciliation", in_the_way.display());
    let yesterday = ["reconcile", "--yesterday", "--record"];
    let answer = fleet.run_with(&yesterday, &[("DELTA_RECONCILIATION_TABLE_PATH", &place)])?;
    answer.ended_with(2, &["Every attachment is in exactly one place.", "in-the-way"])?;
    Ok(())
}

#[test]
fn the_record_states_what_one_lake_bills_for_the_check() -> Result<()> {
    let (fleet, lake) = one_lake::fleet("record-costs", &[])?;
    let (answer, code) = reconcile(&fleet, &["--yesterday"])?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["cu_seconds"], lake.bill()?["total"]["cu_seconds"]);
    let (answer, _) = reconcile(&fleet, &["--yesterday", "--record"])?;
    let rows = tables::read(&fleet.dir.join("tables"))?.reconciliation;
    assert_eq!(rows[0]["cu_seconds"], answer["cu_seconds"]);
    assert!(rows[0]["cu_seconds"].as_f64() > Some(0.0), "{rows:?}");
    Ok(())
}

#[test]
fn reconcile_reports_why_it_cannot_run() -> Result<()> {
    let nowhere = format!("127.0.0.1:{}", ports::free()?);
    let fleet = Fleet::without_topics(&nowhere, "nowhere", &[])?;
    let backwards = ["--from", "2025-01-02", "--to", "2025-01-01"];
    let no_time = ["--from", "soon", "--to", "2025-01-01"];
    let both = ["--yesterday", "--from", "2025-01-01"];
    let half_a_day = ["--from", "2025-01-01", "--to", "2025-01-01T12:00:00Z", "--record"];
    let cases: [(&[&str], &str, &str); 8] = [
        (&DAY, "", &nowhere),
        (&backwards, "", "--from must be before --to"),
        (&no_time, "", "give a time such as"),
        (&[], "", "--from <T>"),
        (&both, "", "'--yesterday' cannot be used with '--from"),
        (&half_a_day, "", "--record is for whole UTC dates"),
        (&DAY, "DELTA_EVENTS_TABLE_PATH", "DELTA_EVENTS_TABLE_PATH is not set"),
        (
            &["--yesterday", "--record"],
            "DELTA_RECONCILIATION_TABLE_PATH",
            "DELTA_RECONCILIATION_TABLE_PATH is not set: set it to the location of table xact_reconciliation",
        ),
    ];
    for (range, unset, said) in cases {
        let unset: &[(&str, &str)] = if unset.is_empty() { &[] } else { &[(unset, "")] };
        let answer = fleet.run_with(&[&["reconcile"], range].concat(), unset)?;
        answer.ended_with(2, &[said])?;
    }
    Ok(())
}
