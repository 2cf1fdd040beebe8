//! Measures what 1,000 attachments cost: runs the whole pipeline over the OneLake emulator and a real Kafka and counts
//! everything that Azure bills. `infra/COST.md` turns the figures into examples.
//!
//! All settings have their defaults, the batch times included, and the log is what Log Analytics would ingest. A warm-up comes
//! first, because tables are created and opened once and not for each 1,000 attachments.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use crate::bench::{Bench, counted, wait_rows};
use crate::kafka::Sender;
use crate::messages::signature;
use crate::report::Report;
use xact_testkit::events::{RAW, event};
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{OneLakeServer, Result, failed, stages, variables};

const EVENTS: u64 = 1000;
const ATTACHMENTS: u64 = 3;
const FILE_BYTES: u64 = 100_000;
const WARM_UP: u64 = 10;
const TABLES: [&str; 3] = ["xact_events", "xact_attachments", "xact_attachments_failed"];

/// Totals at one moment.
struct Used {
    vcpu_seconds: BTreeMap<String, f64>,
    log_bytes: BTreeMap<String, u64>,
    produced: (u64, u64),
    consumed: (u64, u64),
    commits: u64,
}

pub(crate) fn measure(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let lake = OneLakeServer::start(&bench.fleet.dir)?;
    let environment = &mut bench.fleet.environment;
    environment.extend(lake.variables_with_identity("cost")?);
    environment.extend(variables(&[
        ("LOG_LEVEL", "info"),
        ("JSON_LOGS", "true"),
        ("EVENT_BATCH_SECONDS", "5"),
        ("RESULT_BATCH_SECONDS", "5"),
    ]));
    bench.fleet.start(&stages::names())?;
    let bench = &*bench;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    send(&sender, 0, WARM_UP)?;
    settle(bench, WARM_UP)?;

    lake.admin("DELETE", "requests", "")?;
    let before = Used::now(bench)?;
    let begun = Instant::now();
    let sent = send(&sender, WARM_UP, WARM_UP + EVENTS)?;
    settle(bench, WARM_UP + EVENTS)?;
    let elapsed = begun.elapsed();
    let after = Used::now(bench)?;
    let bill = lake.bill()?;

    onelake(&bill, after.commits - before.commits, report)?;
    events(&before, &after, sent, report);
    processes(&before, &after, report);
    report.figure("seconds that it took", "s", elapsed.as_secs_f64());
    Ok(())
}

/// Sends events with their attachments. Returns their size in bytes, keys included.
fn send(sender: &Sender, from: u64, to: u64) -> Result<u64> {
    let mut bytes = 0;
    for number in from..to {
        let trace_id = format!("cost-{number:08}");
        let urls: Vec<String> = (0..ATTACHMENTS).map(|file| url(&trace_id, file)).collect();
        let event = event(&trace_id, &json!(urls));
        bytes += (trace_id.len() + event.len()) as u64;
        sender.send(RAW, trace_id.as_bytes(), &event)?;
    }
    sender.flush()?;
    Ok(bytes)
}

/// Returns a presigned URL as S3 creates it: its length is part of the cost.
fn url(trace_id: &str, file: u64) -> String {
    format!(
        "https://claimxperience.com/ok/{FILE_BYTES}/{trace_id}/{file}.pdf?{}",
        signature()
    )
}

/// Waits until all rows of `events` events are written and no group has lag.
fn settle(bench: &Bench, events: u64) -> Result<()> {
    let attachments = events * ATTACHMENTS;
    wait_rows(&bench.fleet["result-processor"], "xact_attachments", attachments)?;
    wait_rows(&bench.fleet["event-writer"], "xact_events", events)?;
    bench.fleet.wait_no_lag()
}

impl Used {
    fn now(bench: &Bench) -> Result<Self> {
        let handlers = bench.fleet.handlers();
        let sum = |name: &str| -> u64 { handlers.values().map(|handler| counted(handler, name, &[])).sum() };
        let mut vcpu_seconds = BTreeMap::new();
        let mut log_bytes = BTreeMap::new();
        for (name, handler) in handlers {
            vcpu_seconds.insert(name.clone(), cpu_seconds(handler.process.id())?);
            let log = fs::metadata(handler.process.log_path());
            log_bytes.insert(name.clone(), log.map_or(0, |log| log.len()));
        }
        Ok(Self {
            vcpu_seconds,
            log_bytes,
            produced: (
                sum("kafka_messages_produced_total"),
                sum("kafka_messages_produced_bytes_total"),
            ),
            consumed: (
                sum("kafka_messages_consumed_total"),
                sum("kafka_messages_consumed_bytes_total"),
            ),
            commits: TABLES.iter().map(|table| commits(bench, table)).sum(),
        })
    }
}

/// Returns the number of entries in the log of a table.
fn commits(bench: &Bench, table: &str) -> u64 {
    let log = fs::read_dir(bench.fleet.dir.join("tables").join(table).join("_delta_log"));
    let entries = log.into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
        .count() as u64
}

fn onelake(bill: &Value, commits: u64, report: &mut Report) -> Result<()> {
    let files = &bill["areas"]["Files"];
    let expected = EVENTS * ATTACHMENTS;
    let (all, writes) = (&files["total"]["requests"], &files["classes"]["write"]["requests"]);
    if all.as_u64() != Some(expected) || writes.as_u64() != Some(expected) {
        let detail = format!("{expected} files must be as many writes and nothing else: {files}");
        return Err(failed("OneLake's bill", detail));
    }
    for area in ["Files", "Tables"] {
        let total = &bill["areas"][area]["total"];
        for (what, unit, value) in [("requests", "requests", "requests"), ("price", "CU s", "cu_seconds")] {
            let value = total[value].as_f64().unwrap_or(f64::NAN);
            let what = format!("OneLake {area}, {what}");
            report.figure(what, unit, scaled(value));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let commits = commits as f64;
    let tables = &bill["areas"]["Tables"]["total"];
    let of_commit = |value: &str| tables[value].as_f64().unwrap_or(f64::NAN) / commits;
    report.figure("commits, all tables", "commits", scaled(commits));
    report.figure("requests of a commit", "requests", of_commit("requests"));
    report.figure("price of a commit", "CU s", of_commit("cu_seconds"));
    Ok(())
}

/// Reports messages as Event Hubs bills them: those sent to it, and those that each consumer group reads.
fn events(before: &Used, after: &Used, sent: u64, report: &mut Report) {
    let of = |after: u64, before: u64| {
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let used = (after - before) as f64;
        scaled(used)
    };
    let messages_in = of(after.produced.0 + EVENTS, before.produced.0);
    let bytes_in = of(after.produced.1 + sent, before.produced.1);
    report.figure("Event Hubs, messages in (events included)", "messages", messages_in);
    report.figure("Event Hubs, bytes in (events included)", "bytes", bytes_in);
    report.figure(
        "Event Hubs, messages out",
        "messages",
        of(after.consumed.0, before.consumed.0),
    );
    report.figure(
        "Event Hubs, bytes out",
        "bytes",
        of(after.consumed.1, before.consumed.1),
    );
}

fn processes(before: &Used, after: &Used, report: &mut Report) {
    let mut all = 0.0;
    for (name, seconds) in &after.vcpu_seconds {
        let used = scaled(seconds - before.vcpu_seconds.get(name).unwrap_or(&0.0));
        all += used;
        report.figure(format!("{name}: CPU time"), "vCPU s", used);
    }
    report.figure("all handlers: CPU time", "vCPU s", all);
    let mut all = 0.0;
    for (name, bytes) in &after.log_bytes {
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let used = scaled((bytes - before.log_bytes.get(name).unwrap_or(&0)) as f64);
        all += used;
        report.figure(format!("{name}: log"), "bytes", used);
    }
    report.figure("all handlers: log", "bytes", all);
}

/// Scales a total to 1,000 attachments.
fn scaled(value: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let attachments = (EVENTS * ATTACHMENTS) as f64;
    value * 1000.0 / attachments
}
