//! `trace ID` on a real Kafka: an event is found by each of its ids, whatever came of it, and the answer states what was read;
//! with the broker or a table away, it says what is known and what is missing.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::events::event;
use xact_testkit::one_lake::WORKSPACE;
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, ids, kcat};

/// Exit code of a search that finds nothing.
const NOT_FOUND: i32 = 3;
const CLAIM: &str = "CL-4711";

/// Returns the answer to `trace --json` with these arguments, and the exit code.
fn trace(fleet: &Fleet, args: &[&str]) -> Result<(Value, Option<i32>)> {
    trace_with(fleet, args, &[])
}

fn trace_with(fleet: &Fleet, args: &[&str], settings: &[(&str, &str)]) -> Result<(Value, Option<i32>)> {
    let answer = fleet.run_with(&[&["trace", "--json"], args].concat(), settings)?;
    let object = answer.json_lines().pop().unwrap_or_else(|| panic!("{}", answer.text));
    Ok((object, answer.code))
}

fn url(trace_id: &str, kind: &str) -> String {
    format!("https://claimxperience.com/{kind}/2000/{trace_id}/a.pdf?{SIGNED}")
}

/// Sends an event of one attachment that the sample server treats so, to the partition of its trace id, as Java clients do.
fn send(fleet: &Fleet, trace_id: &str, kind: &str) -> Result<()> {
    let event = event(trace_id, &json!([url(trace_id, kind)]));
    let mut event: Value = serde_json::from_slice(&event).unwrap();
    event["payload"] = json!({
        "assignmentId": format!("A-{trace_id}"), "adm": {"coverageLoss": {"claimNumber": CLAIM}},
    });
    let args = ["-K", "\t", "-X", "partitioner=murmur2_random"];
    kcat::produce_with(
        &fleet.broker,
        &fleet.topic("raw"),
        &args,
        format!("{trace_id}\t{event}\n").as_bytes(),
    )
}

/// Traces the event until its attachment is in this state.
fn wait_state(fleet: &Fleet, trace_id: &str, state: &str) -> Result<Value> {
    fleet.wait_until(&format!("{trace_id} is {state}"), || {
        let (answer, _) = trace(fleet, &[trace_id]).ok()?;
        (answer["event"]["attachments"][0]["state"] == state).then_some(answer)
    })
}

/// Returns the names of the steps of the first attachment.
fn steps(answer: &Value) -> Vec<&str> {
    let steps = answer["event"]["attachments"][0]["steps"].as_array().unwrap().iter();
    steps.map(|step| step["step"].as_str().unwrap()).collect()
}

fn next(answer: &Value) -> &str {
    answer["event"]["attachments"][0]["next"]["text"].as_str().unwrap()
}

#[test]
fn an_event_is_found_by_each_id_whatever_came_of_it() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let template = ("TRACE_URL_TEMPLATE", "https://jaeger.example/trace/{trace_id}");
    // The second retry is due in ten minutes.
    let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &[("RETRY_DELAYS", "1,600"), template])?;
    let (answer, code) = trace(&fleet, &["good"])?;
    assert_eq!(
        (code, &answer["outcome"]),
        (Some(NOT_FOUND), &json!("not_found")),
        "{answer}"
    );

    send(&fleet, "good", "ok")?;
    let (answer, code) = trace(&fleet, &["good"])?;
    assert_eq!((code, &answer["in_order"]), (Some(0), &json!(true)), "{answer}");
    assert_contains(
        next(&answer),
        &["waits in xact.events.raw[", "for the event-ingester stage"],
    );
    assert_eq!(answer["event"]["row"]["state"], "waiting", "{answer}");

    for (name, kind) in [
        ("again", "unavailable-once"),
        ("late", "unavailable"),
        ("dead", "missing"),
        ("twice", "missing"),
    ] {
        send(&fleet, name, kind)?;
    }
    fleet.start_pipeline()?;
    let dead = wait_state(&fleet, "dead", "dead_letter")?;
    let again = wait_state(&fleet, "again", "completed")?;
    let twice = wait_state(&fleet, "twice", "dead_letter")?;
    let letter = twice["event"]["attachments"][0]["next"]["command"].as_str().unwrap();
    let replay: Vec<&str> = letter.split(' ').skip(1).chain(["--yes"]).collect();
    assert_eq!(replay[..2], ["dlq", "replay"], "{letter}");
    fleet.run(&replay)?.success()?;
    let twice = fleet.wait_until("the replay has failed again", || {
        let (answer, _) = trace(&fleet, &["twice"]).ok()?;
        let rows = steps(&answer).iter().filter(|step| **step == "row").count();
        (answer["event"]["attachments"][0]["state"] == "dead_letter" && rows == 2).then_some(answer)
    })?;
    let late = fleet.wait_until("the second retry waits", || {
        let (answer, _) = trace(&fleet, &["late"]).ok()?;
        next(&answer).starts_with("retry 2 of 4 is due at ").then_some(answer)
    })?;
    let good = wait_state(&fleet, "good", "completed")?;

    // What came of each.
    assert_eq!(steps(&good), ["task", "cached", "uploaded", "row"], "{good}");
    assert_eq!(
        steps(&again),
        ["task", "attempt_failed", "retry", "task", "cached", "uploaded", "row"],
        "{again}"
    );
    let twice_over = ["task", "attempt_failed", "retry"];
    assert_eq!(steps(&late), [&twice_over[..], &twice_over].concat(), "{late}");
    let mut of_dead = steps(&dead);
    of_dead.sort_unstable();
    assert_eq!(of_dead, ["dead_letter", "failed", "row", "task"], "{dead}");
    let positions: Vec<_> = steps(&twice)
        .iter()
        .map(|step| ["replayed", "task"].contains(step))
        .collect();
    assert_eq!(
        positions,
        [true, false, false, false, true, true, false, false, false],
        "{twice}"
    );
    let attachment = &good["event"]["attachments"][0];
    let file = attachment["file"].as_str().unwrap().strip_prefix("file://").unwrap();
    assert_eq!(
        fs::read(file).unwrap().len() as u64,
        attachment["bytes"].as_u64().unwrap()
    );
    assert_eq!(attachment["sha256"].as_str().unwrap().len(), 64);
    let traces = good["event"]["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 1, "one trace over all stages: {good}");
    assert_eq!(
        traces[0]["url"],
        format!("https://jaeger.example/trace/{}", traces[0]["id"].as_str().unwrap())
    );
    for (answer, state) in [(&good, "written"), (&late, "written"), (&dead, "written")] {
        assert_eq!(answer["event"]["row"]["state"], state, "{answer}");
    }

    // A look-up by trace id reads one partition of each topic, and one date of each table.
    let searched = &good["searched"];
    let topics = searched["topics"].as_array().unwrap();
    let names: BTreeSet<&str> = topics.iter().map(|topic| topic["topic"].as_str().unwrap()).collect();
    assert_eq!(
        (topics.len(), names.len()),
        (7, 7),
        "raw, pending, cached, results, dlq, two retries: {searched}"
    );
    let partition = &good["event"]["received"][0]["partition"];
    assert_eq!(&topics[0]["partition"], partition);
    let records: u64 = topics.iter().map(|topic| topic["records"].as_u64().unwrap()).sum();
    assert_eq!(searched["records"], records);
    let all = ["raw", "pending", "cached", "results", "dlq"]
        .iter()
        .map(|topic| fleet.records(topic).unwrap().len());
    assert!(records < all.sum::<usize>() as u64, "{searched}");
    for table in searched["tables"].as_array().unwrap() {
        assert_eq!(table["dates"], json!(["2024-12-31"]), "{table}");
        assert_eq!(table["by"], "key", "{table}");
    }
    let (limited, _) = trace(&fleet, &["twice", "--max-records", "1"])?;
    let limited = limited["searched"]["topics"].as_array().unwrap();
    assert!(
        limited.iter().all(|topic| topic["records"].as_u64() <= Some(1)),
        "{limited:?}"
    );
    assert!(
        limited
            .iter()
            .any(|topic| topic["from"].as_i64() > topic["low"].as_i64()),
        "{limited:?}"
    );

    // A source may choose the partition otherwise: the raw topic is then read as a whole.
    let key = "elsewhere";
    let (answer, code) = trace(&fleet, &[key])?;
    assert_eq!(code, Some(NOT_FOUND), "{answer}");
    let other = (answer["searched"]["topics"][0]["partition"].as_u64().unwrap() + 1) % 6;
    let elsewhere = event(key, &json!([url(key, "ok")]));
    let args = ["-p", &other.to_string()];
    kcat::produce_with(
        &fleet.broker,
        &fleet.topic("raw"),
        &args,
        &[&elsewhere[..], b"\n"].concat(),
    )?;
    let (answer, code) = trace(&fleet, &[key])?;
    assert_eq!(
        (code, &answer["event"]["received"][0]["partition"]),
        (Some(0), &json!(other)),
        "{answer}"
    );
    let elsewhere = wait_state(&fleet, key, "completed")?;
    assert_eq!(
        elsewhere["event"]["received"][0]["partition"],
        json!(other),
        "{elsewhere}"
    );

    // By each kind of id.
    let path = attachment["blob_path"].as_str().unwrap();
    let media_id = ids::media_id("good", &url("good", "ok"));
    let by_url = url("good", "ok");
    let redacted = by_url.split('?').next().unwrap();
    let file = attachment["file"].as_str().unwrap();
    for (args, kind, asked_for) in [
        (vec!["good"], "trace_id", false),
        (vec![&media_id], "media_id", true),
        (vec!["A-good"], "assignment_id", false),
        (vec![path], "blob_path", true),
        (vec![file], "blob_path", true),
        (vec![&by_url], "url", true),
        (vec![redacted], "url", true),
        (vec!["A-good", "--as", "assignment-id"], "assignment_id", false),
        (vec!["good", "--date", "2024-12-31"], "trace_id", false),
    ] {
        let (answer, code) = trace(&fleet, &args)?;
        assert_eq!(
            (code, &answer["outcome"]),
            (Some(0), &json!("found")),
            "{args:?}: {answer}"
        );
        assert_eq!(answer["found_as"], kind, "{args:?}");
        assert_eq!(answer["event"]["trace_id"], "good", "{args:?}");
        assert_eq!(answer["event"]["attachments"][0]["asked_for"], asked_for, "{args:?}");
        assert_eq!(answer["event"]["attachments"][0]["state"], "completed", "{args:?}");
    }
    let (list, code) = trace(&fleet, &[CLAIM])?;
    assert_eq!(
        (code, &list["outcome"], &list["found_as"]),
        (Some(0), &json!("list"), &json!("claim_number"))
    );
    let found: BTreeSet<&str> = list["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["trace_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        found,
        BTreeSet::from(["again", "dead", "good", "late", "twice"]),
        "{list}"
    );

    // As text.
    let text = fleet.run(&["trace", "dead"])?;
    let told = [
        "dead letter: ",
        "→ dead letter ",
        "xact-pipeline dlq ",
        "searched 7 partitions: ",
        "HTTP 404",
    ];
    text.ended_with(1, &told)?;
    let text = fleet.run(&["trace", "good"])?;
    text.ended_with(
        0,
        &[
            "attachment 1 of 1: completed: https://claimxperience.com/ok",
            "uploaded: ",
            "→ completed",
        ],
    )?;
    fleet
        .run(&["trace", CLAIM])?
        .ended_with(0, &["5 events of claim number CL-4711"])?;

    // Bad input.
    let unknown = fleet.run(&["trace", "\u{1b}[2Jnobody"])?;
    let unknown = unknown.ended_with(
        NOT_FOUND,
        &["\\u{1b}[2Jnobody: nothing was found", "--since DATE", "dlq list"],
    )?;
    assert!(!unknown.contains('\u{1b}'), "{unknown:?}");
    fleet.run(&["trace", " "])?.ended_with(2, &["the id is empty"])?;
    fleet
        .run(&["trace", &"x".repeat(2000)])?
        .ended_with(2, &["2000 bytes"])?;
    fleet
        .run(&["trace", "A1", "--as", "media-id"])?
        .ended_with(2, &["a media id is a UUID"])?;

    // A table that is damaged, and one that is not there yet.
    let damaged = fleet.dir.join("damaged");
    fs::create_dir_all(damaged.join("_delta_log")).unwrap();
    fs::write(damaged.join("_delta_log/00000000000000000000.json"), "garbage").unwrap();
    let damaged = damaged.display().to_string();
    let (answer, code) = trace_with(&fleet, &["good"], &[("DELTA_EVENTS_TABLE_PATH", &damaged)])?;
    assert_eq!(
        (code, &answer["event"]["row"]["state"]),
        (Some(1), &json!("unknown")),
        "{answer}"
    );
    assert_contains(&answer["unread"].to_string(), &["table xact_events", "damaged"]);
    assert_eq!(answer["event"]["attachments"][0]["state"], "completed", "{answer}");
    let nowhere = fleet.dir.join("nowhere").display().to_string();
    let (answer, code) = trace_with(&fleet, &["good"], &[("DELTA_INVENTORY_TABLE_PATH", &nowhere)])?;
    assert_eq!(
        (code, &answer["event"]["attachments"][0]["state"]),
        (Some(1), &json!("lost")),
        "{answer}"
    );

    // The broker is away: the tables tell what they know.
    fleet.stop(&["pipeline"])?;
    kafka.kill()?;
    for (name, state, said) in [
        ("good", "completed", "completed"),
        ("dead", "failed", "not all topics could be read"),
    ] {
        let (answer, code) = trace(&fleet, &[name])?;
        assert_eq!(
            (code, &answer["event"]["attachments"][0]["state"]),
            (Some(1), &json!(state)),
            "{answer}"
        );
        assert_contains(next(&answer), &[said]);
        assert_eq!(answer["event"]["row"]["state"], "written", "{answer}");
        assert_contains(
            &answer["unread"].to_string(),
            &["topics and positions of the groups", &fleet.broker],
        );
    }
    let gone = fleet.run(&["trace", "nobody"])?;
    gone.ended_with(2, &["nobody was not found in what could be read. Not read: topics"])?;
    Ok(())
}

#[test]
fn the_answer_states_what_one_lake_bills_for_it() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("trace-costs", &[])?;
    fleet.start(&["event-writer"])?;
    fleet.send("raw", "billed", &event("billed", &json!([url("billed", "ok")])))?;
    fleet["event-writer"].wait_sum("delta_events_written_total", 1.0)?;
    fleet.stop(&["event-writer"])?;
    for arguments in [["billed"], ["A1"]] {
        lake.admin("DELETE", "requests", "")?;
        let (answer, code) = trace(&fleet, &arguments)?;
        let bill = lake.bill()?;
        assert_eq!(code, Some(0), "{answer}");
        assert_eq!(answer["event"]["row"]["state"], "written", "{answer}");
        assert_contains(next(&answer), &["for the event-ingester stage"]);
        let searched = &answer["searched"];
        assert_eq!(searched["requests"], bill["total"]["requests"], "{arguments:?}: {bill}");
        assert_eq!(searched["cu_seconds"], bill["total"]["cu_seconds"], "{arguments:?}");
    }

    // More events than a list has.
    let others = (0..60).map(|number| format!("billed-{number}"));
    fleet.send_all(
        "raw",
        others.map(|trace_id| (trace_id.clone(), event(&trace_id, &json!([])))),
    )?;
    let (list, code) = trace(&fleet, &["A1"])?;
    assert_eq!(
        (code, &list["outcome"], &list["more_matches"]),
        (Some(0), &json!("list"), &json!(true)),
        "{list}"
    );
    assert_eq!(list["matches"].as_array().map(Vec::len), Some(50), "{list}");

    // A lake that refuses: the topics tell what they know.
    lake.admin("POST", "closed", &json!({"workspace": WORKSPACE}).to_string())?;
    let (answer, code) = trace(&fleet, &["billed"])?;
    assert_eq!(
        (code, &answer["event"]["row"]["state"]),
        (Some(1), &json!("unknown")),
        "{answer}"
    );
    assert_contains(next(&answer), &["for the event-ingester stage"]);
    assert_contains(
        &answer["unread"].to_string(),
        &["table xact_events", "table xact_attachments_failed"],
    );
    Ok(())
}
