//! `reconcile` on a real Kafka: it finds exactly the planted losses and duplicates, with and without the raw topic. A run without
//! faults is reported as clean, also while it is unfinished.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use xact_testkit::command::wait_no_lag_of;
use xact_testkit::events::{RAW, event};
use xact_testkit::{Operator, command, ids, kcat};
use xact_testkit::{Result, WorkDir, python};

const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);
const SECRET: &str = "PLANTEDSIGNATURE";
const DAY: [&str; 4] = ["--from", "2024-12-31", "--to", "2025-01-01T00:00:00Z"];

fn start() -> Result<Operator> {
    let operator = Operator::start("reconcile")?;
    operator.run(&["topics", "create"])?.success()?;
    Ok(operator)
}

/// The answer of `reconcile --json` and its exit code.
fn reconcile(operator: &Operator, range: &[&str]) -> Result<(Value, Option<i32>)> {
    let args: Vec<&str> = ["reconcile", "--json"].iter().chain(range).copied().collect();
    let answer = operator.run(&args)?;
    assert!(!answer.text.contains(SECRET), "{}", answer.text);
    let object = answer.json_lines().pop().unwrap_or_else(|| panic!("{}", answer.text));
    Ok((object, answer.code))
}

fn run_pipeline(operator: &Operator) -> Result<()> {
    let mut running = operator.pipeline()?;
    wait_no_lag_of(DONE, &operator.environment, &operator.dir)?;
    assert_eq!(running.terminate(STOPPED)?, Some(0));
    Ok(())
}

fn change(operator: &Operator, what: &str, table: &str, args: &[&str]) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../change_rows.py");
    let table = operator.dir.join("tables").join(table).display().to_string();
    let args: Vec<&str> = [what, &table].iter().chain(args).copied().collect();
    python::run_script(&script, args).map(drop)
}

fn url(trace_id: &str, kind: &str, query: &str) -> String {
    format!("https://claimxperience.com/{kind}/2000/{trace_id}/a.pdf?{query}sig={SECRET}")
}

/// Kind, trace id and media id of what is missing.
type Missing = BTreeSet<(String, String, String)>;
/// Table, key and count of what is there twice.
type Duplicates = BTreeSet<(String, String, u64)>;

/// What was reported.
fn found(answer: &Value) -> (Missing, Duplicates) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let missing = answer["missing"].as_array().unwrap().iter();
    let duplicates = answer["duplicates"].as_array().unwrap().iter();
    (
        missing
            .map(|missing| {
                (
                    text(&missing["what"]),
                    text(&missing["trace_id"]),
                    text(&missing["media_id"]),
                )
            })
            .collect(),
        duplicates
            .map(|twice| {
                (
                    text(&twice["table"]),
                    text(&twice["key"]),
                    twice["rows"].as_u64().unwrap(),
                )
            })
            .collect(),
    )
}

#[test]
fn planted_losses_and_duplicates_are_found_and_nothing_else() -> Result<()> {
    let operator = start()?;
    let good: Vec<String> = (0..8).map(|number| format!("good-{number}")).collect();
    let bad: Vec<String> = (0..4).map(|number| format!("bad-{number}")).collect();
    for (names, kind) in [(&good, "ok"), (&bad, "missing")] {
        for name in names {
            let event = event(name, &json!([url(name, kind, "")]));
            kcat::produce(operator.kafka.bootstrap(), RAW, name, &event)?;
        }
    }
    // Two attachments that only their signed part tells apart, one of them named twice; and an event of another day.
    let twins = ["id=1&", "id=2&", "id=1&"].map(|query| url("twins", "ok", query));
    kcat::produce(operator.kafka.bootstrap(), RAW, "twins", &event("twins", &json!(twins)))?;
    let other = String::from_utf8(event("other-day", &json!([url("other-day", "ok", "")]))).unwrap();
    let other = other.replace("2024-12-31", "2025-01-01");
    kcat::produce(operator.kafka.bootstrap(), RAW, "other-day", other.as_bytes())?;

    // No stage has read them: everything is waiting, nothing is missing.
    let (answer, code) = reconcile(&operator, &DAY)?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["events"], json!({"all": 13, "waiting": 13, "by_table_alone": 0}));
    assert_eq!(
        (&answer["attachments"]["all"], &answer["attachments"]["waiting"]),
        (&json!(14), &json!({"raw": 14}))
    );

    run_pipeline(&operator)?;
    let (answer, code) = reconcile(&operator, &DAY)?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["events"], json!({"all": 13, "waiting": 0, "by_table_alone": 0}));
    let attachments = json!({"all": 14, "completed": 10, "failed": 4, "waiting": {}});
    assert_eq!(answer["attachments"], attachments);
    let both_days = ["--from", "2024-12-31", "--to", "2025-01-02"];
    assert_eq!(reconcile(&operator, &both_days)?.0["events"]["all"], 14);
    assert_eq!(
        reconcile(&operator, &["--from", "2024-12-30", "--to", "2024-12-31T12:00:00Z"])?.0["events"]["all"],
        0
    );
    let told = operator.run(&[&["reconcile"], &DAY[..]].concat())?.success()?;
    assert!(told.contains("Every attachment is in exactly one place."), "{told}");

    let (completed, failed) = ("xact_attachments", "xact_attachments_failed");
    change(&operator, "delete", completed, &["trace_id = 'good-0'"])?;
    change(&operator, "delete", failed, &["trace_id = 'bad-0'"])?;
    change(&operator, "delete", "xact_events", &["trace_id = 'good-1'"])?;
    let twin = ids::media_id("twins", &twins[1]);
    change(&operator, "delete", completed, &[&format!("media_id = '{twin}'")])?;
    change(&operator, "copy", completed, &["good-2"])?;
    change(&operator, "copy", failed, &["bad-2"])?;
    change(&operator, "copy", "xact_events", &["good-3"])?;
    let media = |name: &str, kind: &str| ids::media_id(name, &url(name, kind, ""));
    // An attachment that has ended twice: as a file and as a failure.
    change(
        &operator,
        "copy",
        failed,
        &[
            "bad-3",
            "trace_id=good-4",
            &format!("media_id={}", media("good-4", "ok")),
        ],
    )?;

    let missing = |with_ids: bool| {
        let id = |id: String| if with_ids { id } else { String::new() };
        BTreeSet::from([
            ("attachment".to_owned(), "good-0".to_owned(), id(media("good-0", "ok"))),
            (
                "attachment".to_owned(),
                "bad-0".to_owned(),
                id(media("bad-0", "missing")),
            ),
            ("attachment".to_owned(), "twins".to_owned(), id(twin.clone())),
            ("event row".to_owned(), "good-1".to_owned(), String::new()),
        ])
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
    let (answer, code) = reconcile(&operator, &DAY)?;
    assert_eq!(code, Some(1));
    assert_eq!(found(&answer), (missing(true), duplicates.clone()), "{answer}");
    let told = operator.run(&[&["reconcile"], &DAY[..]].concat())?.ended(1)?;
    assert!(
        told.contains(&media("good-0", "ok")) && !told.contains("exactly one place"),
        "{told}"
    );
    assert!(!told.contains(SECRET), "{told}");
    // The day after is clean.
    assert_eq!(
        reconcile(&operator, &["--from", "2025-01-01", "--to", "2025-01-02"])?.1,
        Some(0)
    );

    // The raw topic has expired them: only the tables still have them, without ids.
    let ends = operator.kafka.end_offsets(RAW)?;
    let partitions = ends.iter().enumerate();
    let partitions: Vec<Value> = partitions
        .map(|(partition, end)| json!({"topic": RAW, "partition": partition, "offset": end}))
        .collect();
    let file = operator.dir.join("delete.json");
    fs::write(&file, json!({"partitions": partitions, "version": 1}).to_string()).unwrap();
    operator.kafka.tool(
        "DeleteRecordsCommand",
        &["--offset-json-file", &file.display().to_string()],
    )?;
    let (answer, code) = reconcile(&operator, &DAY)?;
    assert_eq!(code, Some(1));
    assert_eq!(answer["events"]["by_table_alone"], 12, "{answer}");
    assert_eq!(found(&answer), (missing(false), duplicates.clone()), "{answer}");
    // So do those of decades, of which most days are nowhere.
    let decades = ["--from", "1995-01-01", "--to", "2025-01-02"];
    let (answer, code) = reconcile(&operator, &decades)?;
    assert_eq!(code, Some(1));
    assert_eq!(answer["events"]["by_table_alone"], 13, "{answer}");
    assert_eq!(found(&answer), (missing(false), duplicates), "{answer}");
    Ok(())
}

#[test]
fn reconcile_reports_why_it_cannot_run() -> Result<()> {
    let dir = WorkDir::new("reconcile")?;
    let nowhere = format!("127.0.0.1:{}", xact_testkit::ports::free()?);
    let place = |name: &str| format!("file://{}", dir.join(name).display());
    let environment = xact_testkit::variables(&[
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", nowhere.clone()),
        ("DELTA_EVENTS_TABLE_PATH", place("events")),
        ("DELTA_INVENTORY_TABLE_PATH", place("attachments")),
        ("DELTA_FAILED_TABLE_PATH", place("failed")),
    ]);
    for (args, variables, said) in [
        (&DAY[..], environment.clone(), nowhere.as_str()),
        (
            &["--from", "2025-01-02", "--to", "2025-01-01"],
            environment.clone(),
            "--from must be before --to",
        ),
        (
            &["--from", "soon", "--to", "2025-01-01"],
            environment.clone(),
            "give a time such as",
        ),
        (
            &DAY[..],
            environment[..1].to_vec(),
            "DELTA_EVENTS_TABLE_PATH is not set",
        ),
    ] {
        let args: Vec<&str> = ["reconcile"].iter().chain(args).copied().collect();
        let text = command(&args, variables, &dir)?.ended(2)?;
        assert!(text.contains(said), "{said}: {text}");
    }
    Ok(())
}
