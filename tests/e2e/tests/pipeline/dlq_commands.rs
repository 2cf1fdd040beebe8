//! `dlq list|view|replay|resolve` on a real Kafka: their output, their effect, and that a kill half-way loses and duplicates
//! nothing.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use xact_testkit::command::{Answer, client};
use xact_testkit::dead_letters::{self, SECRET, letter, unreadable, with};
use xact_testkit::events::event;
use xact_testkit::{
    Fleet, Kafka, Process, Result, assert_contains, binary, command, failed, ids, kcat, ports, variables,
};

const DLQ: &str = "xact.downloads.dlq";
const REPLAY_TIMEOUT: Duration = Duration::from_secs(120);

/// Starts a broker with the pipeline's topics.
fn start() -> Result<(Kafka, Fleet)> {
    let kafka = Kafka::start()?;
    let fleet = Fleet::new(kafka.bootstrap(), "xact", &[])?;
    Ok((kafka, fleet))
}

/// Runs `dlq` with these arguments and without the settings of the processes.
fn dlq(fleet: &Fleet, args: &[&str]) -> Result<Answer> {
    command(&[&["dlq"], args].concat(), client(&fleet.broker), &fleet.dir)
}

/// Returns the entries that `dlq list --json` prints with these further arguments, by trace id; one each.
fn list(fleet: &Fleet, args: &[&str]) -> Result<BTreeMap<String, Value>> {
    let answer = dlq(fleet, &[&["list", "--json"], args].concat())?;
    let entries = answer.json_lines();
    answer.success()?;
    let named = entries.into_iter().map(|entry| (text(&entry["trace_id"]), entry));
    Ok(named.collect())
}

/// Puts dead letters into the topic as their stage would.
fn plant(fleet: &Fleet, letters: &[Value]) -> Result<()> {
    dead_letters::plant(&fleet.broker, DLQ, letters)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns `PARTITION:OFFSET` of a listed entry.
fn place(entry: &Value) -> String {
    format!("{}:{}", entry["partition"], entry["offset"])
}

#[test]
fn entries_are_listed_filtered_viewed_and_resolved_one_by_one() -> Result<()> {
    let (kafka, fleet) = start()?;
    assert_eq!(list(&fleet, &[])?.len(), 0, "an empty topic has no entries");
    let hostile = format!("\u{1b}[2J <https://a.example/b?sig={SECRET}> 503");
    plant(
        &fleet,
        &[
            letter("one"),
            with(letter("auth"), &[("/error_category", "auth".into())]),
            with(letter("late"), &[("/failed_at", "2025-04-01T00:00:00Z".into())]),
            with(
                letter("upload"),
                &[("/stage", "upload".into()), ("/final_error", hostile.into())],
            ),
            unreadable(
                "secretive",
                &format!("{{\"u\": \"https://a.example/b?sig={SECRET}\", \"x\": "),
            ),
        ],
    )?;
    fleet.send("dlq", "foreign", b"somebody's note")?;
    // A tombstone that is no mark of ours changes nothing.
    kcat::produce_tombstone(&fleet.broker, DLQ, "one")?;

    let all = list(&fleet, &[])?;
    let names = |entries: &BTreeMap<String, Value>| entries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&all), ["auth", "foreign", "late", "one", "secretive", "upload"]);
    assert!(all.values().all(|entry| entry["state"] == "waiting"), "{all:?}");
    let one = &all["one"];
    let media_id = text(&one["media_id"]);
    let (partition, offset) = (one["partition"].to_string(), one["offset"].to_string());
    for (args, expected) in [
        (vec!["--trace-id", "auth"], vec!["auth"]),
        (vec!["--media-id", &media_id], vec!["one"]),
        (vec!["--category", "permanent"], vec!["secretive"]),
        (
            vec!["--category", "transient", "--stage", "download"],
            vec!["late", "one"],
        ),
        (vec!["--stage", "upload"], vec!["upload"]),
        (
            vec!["--since", "2025-03-02", "--until", "2025-03-03"],
            vec!["secretive"],
        ),
        (vec!["--until", "2025-03-02T00:00:00Z"], vec!["auth", "one", "upload"]),
        (vec!["--partition", &partition, "--offset", &offset], vec!["one"]),
        (vec!["--trace-id", "nobody"], vec![]),
    ] {
        assert_eq!(names(&list(&fleet, &args)?), expected, "{args:?}");
    }
    for bad in [
        ["--category", "bad"],
        ["--stage", "uploads"],
        ["--since", "soon"],
        ["--media-id", "x"],
    ] {
        dlq(&fleet, &["list", bad[0], bad[1]])?.ended_with(2, &[bad[0]])?;
    }

    // For people: every entry a line, and nothing in it that the terminal would obey.
    let table = dlq(&fleet, &["list"])?.ended_with(0, &["6 waiting, 0 resolved or replayed"])?;
    let is_one = |line: &str| line.contains(&place(one)) && line.contains(&media_id);
    assert!(table.lines().any(is_one), "{table}");
    let mut shown = table;
    for entry in all.values() {
        shown += &dlq(&fleet, &["view", &place(entry)])?.success()?;
        let answer = dlq(&fleet, &["view", "--json", &place(entry)])?;
        assert_eq!(answer.json_lines().len(), 1, "{}", answer.text);
        shown += &answer.success()?;
    }
    shown += &dlq(&fleet, &["list", "--json"])?.success()?;
    shown += &dlq(&fleet, &["replay", "--everything", "--dry-run"])?.ended(1)?;
    shown += &dlq(&fleet, &["replay", "--everything", "--dry-run", "--json"])?.ended(1)?;
    assert!(!shown.contains(SECRET), "a signature is shown: {shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert_contains(&shown, &["somebody's note", "503 Service Unavailable"]);
    // It is printed only on request.
    dlq(&fleet, &["view", &place(one), "--show-secrets"])?.ended_with(0, &[SECRET])?;

    // Resolving one touches no other, and moves no group.
    let groups = || kafka.tool("consumer.group.ConsumerGroupCommand", &["--list"]);
    assert_eq!(groups()?.trim(), "", "nobody reads here");
    dlq(&fleet, &["resolve", &place(one), "--yes"])?.success()?;
    assert_eq!(groups()?.trim(), "", "resolving commits nothing");
    assert_eq!(
        names(&list(&fleet, &[])?),
        ["auth", "foreign", "late", "secretive", "upload"]
    );
    let marked = list(&fleet, &["--all"])?;
    assert_eq!(marked.len(), 6);
    for (name, entry) in &marked {
        let expected = if name == "one" { "resolved" } else { "waiting" };
        assert_eq!(entry["state"], expected, "{name}");
    }
    let view = dlq(&fleet, &["view", &place(one)])?.success()?;
    let is_state = |line: &str| line.starts_with("state") && line.contains("resolved at 20");
    assert!(view.lines().any(is_state), "{view}");
    // The mark is a tombstone in the entry's own partition.
    let mut marks = fleet.records("dlq")?;
    marks.retain(|record| record.key == place(one));
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].partition.to_string(), marks[0].value.len()), (partition, 0));
    // Once more: that is reported, and nothing is written.
    dlq(&fleet, &["resolve", &place(one), "--yes"])?.ended_with(1, &["resolved already"])?;

    // Without confirmation nothing is done; a missing entry is reported.
    for (args, said) in [
        (vec!["resolve", "--category", "auth"], "not a terminal"),
        (vec!["resolve", "--yes"], "--everything"),
        (vec!["resolve", "0:999", "--yes"], "no dead letter at 0:999"),
        (vec!["view", "9:1"], "no dead letter at 9:1"),
        (vec!["view", "first"], "PARTITION:OFFSET"),
    ] {
        dlq(&fleet, &args)?.ended_with(2, &[said])?;
    }
    assert_eq!(list(&fleet, &[])?.len(), 5);
    let bulk = dlq(&fleet, &["resolve", "--stage", "download", "--yes", "--json"])?;
    assert_eq!(bulk.json_lines().len(), 2, "{}", bulk.text);
    assert_eq!(names(&list(&fleet, &[])?), ["foreign", "secretive", "upload"]);
    Ok(())
}

#[test]
fn every_command_names_an_unavailable_broker() -> Result<()> {
    let nowhere = format!("127.0.0.1:{}", ports::free()?);
    let fleet = Fleet::without_topics(&nowhere, "nowhere", &[])?;
    let commands = [
        vec!["dlq", "list"],
        vec!["dlq", "view", "0:1"],
        vec!["dlq", "replay", "--everything", "--yes"],
        vec!["dlq", "resolve", "0:1", "--yes"],
        vec!["topics", "create"],
        vec!["topics", "list"],
        vec!["topics", "lag"],
        vec!["offsets", "show"],
        vec!["offsets", "reset", "--group", "nowhere-upload-worker", "--to", "latest"],
    ];
    // Each waits ten seconds for a response: all at once.
    std::thread::scope(|scope| {
        let fleet = &fleet;
        let running = commands.map(|args| scope.spawn(move || fleet.run(&args)));
        for running in running {
            let expected = [nowhere.as_str(), "no broker answers: check that it runs"];
            running.join().unwrap()?.ended_with(2, &expected)?;
        }
        Ok(())
    })
}

#[test]
fn a_replayed_attachment_becomes_a_file_and_a_replayed_message_keeps_its_bytes() -> Result<()> {
    let (kafka, mut fleet) = start()?;
    // The fault: a host that is not yet allowed.
    let allowed = variables(&[("ALLOWED_ATTACHMENT_DOMAINS", "www.claimxperience.com")]);
    fleet.environment.extend(allowed);
    fleet.start_pipeline()?;
    let url = format!("https://claimxperience.com/ok/2000/r/a.pdf?sig={SECRET}");
    fleet.send("raw", "fixed", &event("fixed", &json!([url])))?;
    fleet.send("raw", "odd", &event("odd", &json!([5])))?;
    let homeless = json!({"trace_id": "homeless", "event_type": "documentsReceived", "attachments": [url]});
    fleet.send("raw", "homeless", homeless.to_string().as_bytes())?;
    let bytes = b"\xff\xfe{\"half\": \x00\x01 an event".to_vec();
    fleet.send("raw", "binary", &bytes)?;
    let lines = "no\r\nevent \u{1b}[1m but text\n";
    fleet.send("raw", "lines", lines.as_bytes())?;
    fleet.wait_no_lag()?;
    let entries = list(&fleet, &[])?;
    assert_eq!(entries.len(), 5, "{entries:?}");

    // Exactly as they came; a dump or readable text for people.
    for (name, sent) in [("binary", bytes.as_slice()), ("lines", lines.as_bytes())] {
        let raw = dlq(&fleet, &["view", "--raw", &place(&entries[name])])?;
        assert_eq!((raw.code, raw.bytes.as_slice()), (Some(0), sent), "{name}");
    }
    dlq(&fleet, &["view", &place(&entries["binary"])])?.ended_with(0, &["00000000  ff fe 7b 22 68 61 6c 66"])?;
    dlq(&fleet, &["view", &place(&entries["lines"])])?.ended_with(0, &["no\\u{d}\nevent \\u{1b}[1m but text\n"])?;

    // What cannot end otherwise is not sent again, and the reason is reported.
    dlq(&fleet, &["replay", "--everything", "--dry-run"])?.ended_with(
        1,
        &[
            "attachment_url is not a URL",
            "names no assignment",
            "it would be rejected again: unreadable event: it is not UTF-8 at byte 0",
            "to xact.downloads.pending",
            "1 to replay",
            "4 refused; dry run",
        ],
    )?;
    let before = kafka.end_offsets(DLQ)?;

    fleet.stop(&["pipeline"])?;
    fleet.environment.pop();
    fleet.start_pipeline()?;
    let audited = fleet.audit()?.len();
    dlq(&fleet, &["replay", &place(&entries["fixed"]), "--yes"])?.ended_with(0, &["1 replayed, 0 refused"])?;
    fleet.wait_no_lag()?;
    let pending = fleet.messages("pending")?;
    let task = pending.last().unwrap();
    let metadata = &task["metadata"];
    assert_eq!(
        [
            &task["retry_count"],
            &metadata["replay_count"],
            &metadata["replayed_from_dlq"]
        ],
        [&json!(0), &json!(1), &json!(true)]
    );
    let fixed = &entries["fixed"];
    assert_eq!(
        [&metadata["dlq_partition"], &metadata["dlq_offset"]],
        [&fixed["partition"], &fixed["offset"]]
    );
    let tables = fleet.tables()?;
    let is_fixed = |row: &&Value| row["trace_id"] == "fixed";
    let done: Vec<&Value> = tables.attachments.iter().filter(is_fixed).collect();
    assert_eq!(done.len(), 1, "{:?}", tables.attachments);
    assert_eq!(done[0]["media_id"], ids::media_id("fixed", &url));
    assert!(fleet.files().join(text(&done[0]["blob_path"])).is_file());
    // The mark is one more record of the topic, and no dead letter to the handler that reads it.
    let after = kafka.end_offsets(DLQ)?;
    assert_eq!(after.iter().sum::<u64>(), before.iter().sum::<u64>() + 1);
    assert_eq!(fleet.audit()?.len(), audited, "a mark is not audited");
    let unreadable_letters = [("consumer_group", "xact-dlq-handler"), ("status", "unreadable")];
    let counted = fleet["pipeline"].sum("kafka_messages_consumed_total", &unreadable_letters)?;
    assert_eq!(counted, 0.0, "a mark is readable");

    // What an earlier version could not read goes back as it came.
    let marked = "\u{FEFF}{ \"TraceId\":\"marked\", \"EventType\":\"x\" }";
    plant(&fleet, &[unreadable("marked", marked)])?;
    let entries_now = list(&fleet, &[])?;
    dlq(&fleet, &["replay", &place(&entries_now["marked"]), "--yes"])?.success()?;
    fleet.wait_no_lag()?;
    let mut sent = fleet.records("raw")?;
    sent.retain(|record| record.value == marked.as_bytes());
    assert_eq!(sent.len(), 1);
    let events = fleet.tables()?.events;
    assert!(events.iter().any(|row| row["trace_id"] == "marked"), "{events:?}");
    dlq(&fleet, &["replay", &place(&entries["fixed"]), "--yes"])?.ended_with(1, &["replayed already"])?;
    Ok(())
}

#[test]
fn a_bulk_replay_that_is_killed_half_way_loses_and_duplicates_nothing() -> Result<()> {
    const LETTERS: usize = 600;
    let (_kafka, mut fleet) = start()?;
    let names: Vec<String> = (0..LETTERS).map(|number| format!("t{number}")).collect();
    let letters: Vec<Value> = names.iter().map(|name| letter(name)).collect();
    plant(&fleet, &letters)?;

    let replay = ["replay", "--category", "transient", "--yes"];
    let args = [&["dlq"], &replay[..]].concat();
    let program = binary("xact-pipeline")?;
    let mut killed = Process::spawn("replay", program, args, client(&fleet.broker), &fleet.dir)?;
    let started = Instant::now();
    // Its first batch is marked: the next ones are on their way.
    while !killed.log().contains(&format!(" of {LETTERS} replayed")) {
        assert!(
            killed.is_running() && started.elapsed() < REPLAY_TIMEOUT,
            "{}",
            killed.tail()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.kill()?;
    let waiting = list(&fleet, &[])?.len();
    let sent = fleet.records("pending")?.len();
    if waiting == 0 || waiting == LETTERS {
        let detail = format!("{waiting} of {LETTERS} wait");
        return Err(failed("it was not killed half-way", detail));
    }
    assert!(
        sent >= LETTERS - waiting,
        "{sent} sent, {waiting} wait: marked before it was sent"
    );

    // Only now are they processed, and the rest follows.
    fleet.start_pipeline()?;
    dlq(&fleet, &replay)?.ended_with(0, &[&format!("{waiting} replayed, 0 refused")])?;
    fleet.wait_no_lag()?;

    let is_first_replay = |task: &Value| task["metadata"]["replay_count"] == 1;
    let tasks = fleet.messages("pending")?;
    assert!(
        tasks.iter().all(is_first_replay),
        "a repeated replay is the same replay"
    );
    let tables = fleet.tables()?;
    let rows: BTreeSet<String> = tables.attachments.iter().map(|row| text(&row["media_id"])).collect();
    let expected: BTreeSet<String> = letters.iter().map(|letter| text(&letter["media_id"])).collect();
    assert_eq!(tables.attachments.len(), LETTERS);
    assert_eq!(rows, expected);
    assert_eq!(list(&fleet, &[])?.len(), 0);
    let all = list(&fleet, &["--all"])?;
    assert!(all.len() == LETTERS && all.values().all(|entry| entry["state"] == "replayed"));
    dlq(&fleet, &replay)?.ended_with(0, &["0 to replay"]).map(drop)
}
