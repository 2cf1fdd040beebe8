//! `dlq list|view|replay|resolve` on a real Kafka: their output, their effect, and that a kill half-way loses and duplicates
//! nothing.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use xact_testkit::command::{Answer, client, wait_no_lag};
use xact_testkit::events::{RAW, event};
use xact_testkit::pipeline::json_lines;
use xact_testkit::samples::SampleServer;
use xact_testkit::stages::environment;
use xact_testkit::{Kafka, Process, Result, WorkDir, binary, tables};
use xact_testkit::{Running, Variables, command, failed, ids, kcat, variables};

const DLQ: &str = "xact.downloads.dlq";
const PENDING: &str = "xact.downloads.pending";
const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);
/// Stands for every secret: it is planted wherever one may be.
const SECRET: &str = "PLANTEDSIGNATURE";

/// A broker with the pipeline's topics, and a place to run commands in.
struct Operator {
    kafka: Kafka,
    dir: WorkDir,
}

impl Operator {
    fn start() -> Result<Self> {
        let operator = Self {
            kafka: Kafka::start()?,
            dir: WorkDir::new("dlq")?,
        };
        operator.run(&["topics", "create"])?.success()?;
        Ok(operator)
    }

    fn run(&self, args: &[&str]) -> Result<Answer> {
        command(args, client(self.kafka.bootstrap()), &self.dir)
    }

    /// The entries that `dlq list --json` tells with these further arguments, by trace id; one each.
    fn list(&self, args: &[&str]) -> Result<BTreeMap<String, Value>> {
        let all: Vec<&str> = ["dlq", "list", "--json"].iter().chain(args).copied().collect();
        let answer = self.run(&all)?;
        let entries = answer.json_lines();
        answer.success()?;
        let named = entries.into_iter().map(|entry| (text(&entry["trace_id"]), entry));
        Ok(named.collect())
    }

    /// Puts dead letters into the topic as their stage would.
    fn plant(&self, letters: &[Value]) -> Result<()> {
        let lines: String = letters
            .iter()
            .map(|letter| format!("{}\t{letter}\n", text(&letter["trace_id"])))
            .collect();
        let args = [
            "-P",
            "-b",
            self.kafka.bootstrap(),
            "-t",
            DLQ,
            "-K",
            "\t",
            "-X",
            "partitioner=murmur2_random",
        ];
        kcat::kcat(&args, lines.as_bytes()).map(drop)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `PARTITION:OFFSET` of a listed entry.
fn place(entry: &Value) -> String {
    format!("{}:{}", entry["partition"], entry["offset"])
}

/// A dead letter of the download stage about a file that the sample server has.
fn letter(trace_id: &str) -> Value {
    let url = format!("https://claimxperience.com/ok/2000/{trace_id}/a.pdf?sig={SECRET}");
    let media_id = ids::media_id(trace_id, &url);
    json!({
        "trace_id": trace_id, "media_id": media_id, "attachment_url": url.split('?').next(), "stage": "download",
        "source": {"topic": PENDING, "partition": 0, "offset": 1, "timestamp": null},
        "error_category": "transient", "final_error": "503 Service Unavailable", "retry_count": 4,
        "failed_at": "2025-03-01T12:00:00Z",
        "original_task": {
            "trace_id": trace_id, "media_id": media_id, "attachment_url": url,
            "blob_path": format!("documentsReceived/A1/{trace_id}/A1_a.pdf"), "status_subtype": "documentsReceived",
            "file_type": "PDF", "assignment_id": "A1", "retry_count": 4, "event_type": "xact", "event_subtype": "xact",
            "original_timestamp": "2024-12-31T12:00:00Z",
            "metadata": {"last_error": "503", "error_category": "transient", "retry_at": "2025-03-01T12:00:00Z"},
        },
    })
}

/// A dead letter about a message that could not be read.
fn unreadable(trace_id: &str, payload: &str) -> Value {
    json!({
        "trace_id": trace_id, "stage": "event-ingester",
        "source": {"topic": RAW, "partition": 0, "offset": 1, "timestamp": null},
        "error_category": "permanent", "final_error": "unreadable event", "retry_count": 0,
        "failed_at": "2025-03-02T12:00:00Z", "original_payload": payload,
    })
}

/// The same with some fields replaced.
fn with(mut letter: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        *letter.pointer_mut(pointer).unwrap() = value.clone();
    }
    letter
}

#[test]
fn entries_are_listed_filtered_viewed_and_resolved_one_by_one() -> Result<()> {
    let operator = Operator::start()?;
    assert_eq!(operator.list(&[])?.len(), 0, "an empty topic has no entries");
    let hostile = format!("\u{1b}[2J <https://a.example/b?sig={SECRET}> 503");
    operator.plant(&[
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
    ])?;
    kcat::produce(operator.kafka.bootstrap(), DLQ, "foreign", b"somebody's note")?;
    // A tombstone that is no mark of ours changes nothing.
    kcat::produce_tombstone(operator.kafka.bootstrap(), DLQ, "one")?;

    let all = operator.list(&[])?;
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
        assert_eq!(names(&operator.list(&args)?), expected, "{args:?}");
    }
    for bad in [
        ["--category", "bad"],
        ["--stage", "uploads"],
        ["--since", "soon"],
        ["--media-id", "x"],
    ] {
        let answer = operator.run(&["dlq", "list", bad[0], bad[1]])?;
        assert_eq!(answer.code, Some(2), "{}", answer.text);
        assert!(answer.text.contains(bad[0]), "{}", answer.text);
    }

    // For people: every entry a line, and nothing in it that the terminal would obey.
    let table = operator.run(&["dlq", "list"])?.success()?;
    assert!(table.contains("6 waiting, 0 resolved or replayed"), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.contains(&place(one)) && line.contains(&media_id)),
        "{table}"
    );
    let views: Vec<String> = all
        .values()
        .map(|entry| operator.run(&["dlq", "view", &place(entry)])?.success())
        .collect::<Result<_>>()?;
    let mut shown = views.join("\n") + &table;
    for entry in all.values() {
        let answer = operator.run(&["dlq", "view", "--json", &place(entry)])?;
        assert_eq!(answer.json_lines().len(), 1, "{}", answer.text);
        shown += &answer.success()?;
    }
    shown += &operator.run(&["dlq", "list", "--json"])?.success()?;
    shown += &operator
        .run(&["dlq", "replay", "--everything", "--dry-run"])?
        .ended(1)?;
    shown += &operator
        .run(&["dlq", "replay", "--everything", "--dry-run", "--json"])?
        .ended(1)?;
    assert!(!shown.contains(SECRET), "a signature is shown: {shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(
        shown.contains("somebody's note") && shown.contains("503 Service Unavailable"),
        "{shown}"
    );
    // It is printed only on request.
    let secret = operator
        .run(&["dlq", "view", &place(one), "--show-secrets"])?
        .success()?;
    assert!(secret.contains(SECRET), "{secret}");

    // Resolving one touches no other, and moves no group.
    let groups = || operator.kafka.tool("consumer.group.ConsumerGroupCommand", &["--list"]);
    assert_eq!(groups()?.trim(), "", "nobody reads here");
    operator.run(&["dlq", "resolve", &place(one), "--yes"])?.success()?;
    assert_eq!(groups()?.trim(), "", "resolving commits nothing");
    assert_eq!(
        names(&operator.list(&[])?),
        ["auth", "foreign", "late", "secretive", "upload"]
    );
    let marked = operator.list(&["--all"])?;
    assert_eq!(marked.len(), 6);
    for (name, entry) in &marked {
        let expected = if name == "one" { "resolved" } else { "waiting" };
        assert_eq!(entry["state"], expected, "{name}");
    }
    let view = operator.run(&["dlq", "view", &place(one)])?.success()?;
    assert!(
        view.lines()
            .any(|line| line.starts_with("state") && line.contains("resolved at 20")),
        "{view}"
    );
    // The mark is a tombstone in the entry's own partition.
    let marks: Vec<kcat::Record> = kcat::consume(operator.kafka.bootstrap(), DLQ)?
        .into_iter()
        .filter(|record| record.key == place(one))
        .collect();
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].partition.to_string(), marks[0].value.len()), (partition, 0));
    // Once more: it is told, and nothing is written.
    let again = operator.run(&["dlq", "resolve", &place(one), "--yes"])?.ended(1)?;
    assert!(again.contains("resolved already"), "{again}");

    // Without confirmation nothing is done; a missing entry is reported.
    for (args, code, said) in [
        (vec!["dlq", "resolve", "--category", "auth"], 2, "not a terminal"),
        (vec!["dlq", "resolve", "--yes"], 2, "--everything"),
        (vec!["dlq", "resolve", "0:999", "--yes"], 2, "no dead letter at 0:999"),
        (vec!["dlq", "view", "9:1"], 2, "no dead letter at 9:1"),
        (vec!["dlq", "view", "first"], 2, "PARTITION:OFFSET"),
    ] {
        let text = operator.run(&args)?.ended(code)?;
        assert!(text.contains(said), "{args:?}: {text}");
    }
    assert_eq!(operator.list(&[])?.len(), 5);
    let bulk = operator.run(&["dlq", "resolve", "--stage", "download", "--yes", "--json"])?;
    assert_eq!(bulk.json_lines().len(), 2, "{}", bulk.text);
    assert_eq!(names(&operator.list(&[])?), ["foreign", "secretive", "upload"]);
    Ok(())
}

#[test]
fn every_command_names_an_unavailable_broker() -> Result<()> {
    let dir = WorkDir::new("dlq")?;
    let nowhere = format!("127.0.0.1:{}", xact_testkit::ports::free()?);
    let commands = [
        vec!["dlq", "list"],
        vec!["dlq", "view", "0:1"],
        vec!["dlq", "replay", "--everything", "--yes"],
        vec!["dlq", "resolve", "0:1", "--yes"],
        vec!["topics", "create"],
        vec!["topics", "list"],
        vec!["topics", "lag"],
        vec!["offsets", "show"],
        vec!["offsets", "reset", "--group", "xact-upload-worker", "--to", "latest"],
    ];
    // Each waits for an answer for ten seconds: all at once.
    std::thread::scope(|scope| {
        let started = commands.map(|args| {
            let run = {
                let args = args.clone();
                let (nowhere, dir) = (&nowhere, &dir);
                scope.spawn(move || command(&args, client(nowhere), dir)?.ended(2))
            };
            (args, run)
        });
        for (args, run) in started {
            let text = run.join().unwrap()?;
            assert!(
                text.contains(&nowhere) && text.contains("no broker answers: check that it runs"),
                "{args:?}: {text}"
            );
        }
        Ok(())
    })
}

/// The whole pipeline as one process.
fn pipeline(environment: &Variables, dir: &WorkDir) -> Result<Running> {
    let mut running = Running::start("pipeline", "xact-pipeline", &[], environment.clone(), dir)?;
    running.wait_ready()?;
    Ok(running)
}

#[test]
fn a_replayed_attachment_becomes_a_file_and_a_replayed_message_keeps_its_bytes() -> Result<()> {
    let operator = Operator::start()?;
    let (broker, dir) = (operator.kafka.bootstrap(), &operator.dir);
    let samples = SampleServer::start(dir)?;
    let mut environment = environment(broker, &samples, dir);
    // The fault: a host that is not yet allowed.
    environment.extend(variables(&[("ALLOWED_ATTACHMENT_DOMAINS", "www.claimxperience.com")]));
    let mut running = pipeline(&environment, dir)?;
    let url = format!("https://claimxperience.com/ok/2000/r/a.pdf?sig={SECRET}");
    kcat::produce(broker, RAW, "fixed", &event("fixed", &json!([url])))?;
    kcat::produce(broker, RAW, "odd", &event("odd", &json!([5])))?;
    let homeless = json!({"trace_id": "homeless", "event_type": "documentsReceived", "attachments": [url]});
    kcat::produce(broker, RAW, "homeless", homeless.to_string().as_bytes())?;
    let bytes = b"\xff\xfe{\"half\": \x00\x01 an event".to_vec();
    kcat::produce(broker, RAW, "binary", &bytes)?;
    let lines = "no\r\nevent \u{1b}[1m but text\n";
    kcat::produce(broker, RAW, "lines", lines.as_bytes())?;
    wait_no_lag(DONE, broker, dir)?;
    let entries = operator.list(&[])?;
    assert_eq!(entries.len(), 5, "{entries:?}");

    // Exactly as they came; a dump or readable text for people.
    for (name, sent) in [("binary", bytes.as_slice()), ("lines", lines.as_bytes())] {
        let raw = operator.run(&["dlq", "view", "--raw", &place(&entries[name])])?;
        assert_eq!((raw.code, raw.bytes.as_slice()), (Some(0), sent), "{name}");
    }
    let dump = operator.run(&["dlq", "view", &place(&entries["binary"])])?.success()?;
    assert!(dump.contains("00000000  ff fe 7b 22 68 61 6c 66"), "{dump}");
    let view = operator.run(&["dlq", "view", &place(&entries["lines"])])?.success()?;
    assert!(view.contains("no\\u{d}\nevent \\u{1b}[1m but text\n"), "{view}");

    // What cannot end otherwise is not sent again, and the reason is told.
    let plan = operator
        .run(&["dlq", "replay", "--everything", "--dry-run"])?
        .ended(1)?;
    for reason in [
        "attachment_url is not a URL",
        "names no assignment",
        "it would be rejected again: unreadable event: it is not UTF-8 at byte 0",
        "to xact.downloads.pending",
    ] {
        assert!(plan.contains(reason), "{reason}: {plan}");
    }
    assert!(
        plan.contains("1 to replay") && plan.contains("4 refused; dry run"),
        "{plan}"
    );
    let before = operator.kafka.end_offsets(DLQ)?;

    assert_eq!(running.terminate(STOPPED)?, Some(0));
    environment.pop();
    let running = pipeline(&environment, dir)?;
    let audited = json_lines(&dir.join("audit.jsonl"))?.len();
    let said = operator
        .run(&["dlq", "replay", &place(&entries["fixed"]), "--yes"])?
        .success()?;
    assert!(said.contains("1 replayed, 0 refused"), "{said}");
    wait_no_lag(DONE, broker, dir)?;
    let pending = kcat::consume(broker, PENDING)?;
    let task: Value = serde_json::from_slice(&pending.last().unwrap().value).unwrap();
    let metadata = &task["metadata"];
    assert_eq!(
        (
            &task["retry_count"],
            &metadata["replay_count"],
            &metadata["replayed_from_dlq"]
        ),
        (&json!(0), &json!(1), &json!(true))
    );
    assert_eq!(
        (&metadata["dlq_partition"], &metadata["dlq_offset"]),
        (&entries["fixed"]["partition"], &entries["fixed"]["offset"])
    );
    let tables = tables::read(&dir.join("tables"))?;
    let done: Vec<&Value> = tables
        .attachments
        .iter()
        .filter(|row| row["trace_id"] == "fixed")
        .collect();
    assert_eq!(done.len(), 1, "{:?}", tables.attachments);
    assert_eq!(done[0]["media_id"], ids::media_id("fixed", &url));
    assert!(dir.join("files").join(text(&done[0]["blob_path"])).is_file());
    // The mark is one more record of the topic, and no dead letter to the handler that reads it.
    let after = operator.kafka.end_offsets(DLQ)?;
    assert_eq!(after.iter().sum::<u64>(), before.iter().sum::<u64>() + 1);
    assert_eq!(
        json_lines(&dir.join("audit.jsonl"))?.len(),
        audited,
        "a mark is not audited"
    );
    let metrics = running.metrics()?;
    let bad = [("consumer_group", "xact-dlq-handler"), ("status", "unreadable")];
    assert_eq!(
        metrics.sum("kafka_messages_consumed_total", &bad),
        0.0,
        "nor is it poison"
    );

    // What an earlier version could not read goes back as it came.
    let marked = "\u{FEFF}{ \"TraceId\":\"marked\", \"EventType\":\"x\" }";
    operator.plant(&[unreadable("marked", marked)])?;
    let entries_now = operator.list(&[])?;
    operator
        .run(&["dlq", "replay", &place(&entries_now["marked"]), "--yes"])?
        .success()?;
    wait_no_lag(DONE, broker, dir)?;
    let mut sent = kcat::consume(broker, RAW)?;
    sent.retain(|record| record.value == marked.as_bytes());
    assert_eq!(sent.len(), 1);
    let tables = tables::read(&dir.join("tables"))?;
    assert!(
        tables.events.iter().any(|row| row["trace_id"] == "marked"),
        "{:?}",
        tables.events
    );
    let refused = operator
        .run(&["dlq", "replay", &place(&entries["fixed"]), "--yes"])?
        .ended(1)?;
    assert!(refused.contains("replayed already"), "{refused}");
    Ok(())
}

#[test]
fn a_bulk_replay_that_is_killed_half_way_loses_and_duplicates_nothing() -> Result<()> {
    const LETTERS: usize = 600;
    let operator = Operator::start()?;
    let (broker, dir) = (operator.kafka.bootstrap(), &operator.dir);
    let names: Vec<String> = (0..LETTERS).map(|number| format!("t{number}")).collect();
    let letters: Vec<Value> = names.iter().map(|name| letter(name)).collect();
    operator.plant(&letters)?;

    let replay = ["dlq", "replay", "--category", "transient", "--yes"];
    let mut killed = Process::spawn("replay", binary("xact-pipeline")?, replay, client(broker), dir.path())?;
    let started = Instant::now();
    // Its first batch is marked: the next ones are on their way.
    while !killed.log().contains(&format!(" of {LETTERS} replayed")) {
        assert!(killed.is_running() && started.elapsed() < DONE, "{}", killed.tail());
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.kill()?;
    let waiting = operator.list(&[])?.len();
    let sent = kcat::consume(broker, PENDING)?.len();
    if waiting == 0 || waiting == LETTERS {
        return Err(failed(
            "it was not killed half-way",
            format!("{waiting} of {LETTERS} wait"),
        ));
    }
    assert!(
        sent >= LETTERS - waiting,
        "{sent} sent, {waiting} wait: marked before it was sent"
    );

    // Only now are they processed, and the rest follows.
    let samples = SampleServer::start(dir)?;
    let _running = pipeline(&environment(broker, &samples, dir), dir)?;
    let said = operator.run(&replay)?.success()?;
    assert!(said.contains(&format!("{waiting} replayed, 0 refused")), "{said}");
    wait_no_lag(DONE, broker, dir)?;

    let counts = kcat::consume(broker, PENDING)?.into_iter().map(|record| {
        let task: Value = serde_json::from_slice(&record.value).unwrap();
        task["metadata"]["replay_count"].clone()
    });
    assert!(
        counts.collect::<Vec<_>>().iter().all(|count| *count == 1),
        "a repeated replay is the same replay"
    );
    let tables = tables::read(&dir.join("tables"))?;
    let rows: BTreeSet<String> = tables.attachments.iter().map(|row| text(&row["media_id"])).collect();
    let expected: BTreeSet<String> = letters.iter().map(|letter| text(&letter["media_id"])).collect();
    assert_eq!(tables.attachments.len(), LETTERS);
    assert_eq!(rows, expected);
    assert_eq!(operator.list(&[])?.len(), 0);
    let all = operator.list(&["--all"])?;
    assert!(all.len() == LETTERS && all.values().all(|entry| entry["state"] == "replayed"));
    let none = operator.run(&replay)?.success()?;
    assert!(none.contains("0 to replay"), "{none}");
    Ok(())
}
