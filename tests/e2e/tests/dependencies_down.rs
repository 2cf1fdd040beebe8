//! Each dependency of the pipeline fails in the middle of a run, for `OUTAGE_SECONDS` (default 60), and comes back. Each time the
//! pipeline reports the problem, waits, and resumes by itself: nothing is lost, nothing is duplicated, and no good message is
//! dead-lettered.
//!
//! These tests mostly wait. `tests/run` runs them all in parallel.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::{completed, event};
use xact_testkit::pipeline::files_below;
use xact_testkit::secrets::{PLANTED, SIGNED};
use xact_testkit::sent::{End, Sent};
use xact_testkit::{Fleet, Running, kcat};
use xact_testkit::{Kafka, Process, Result, WorkDir, binary, ports, python, wait_until};

const SOON: Duration = Duration::from_secs(90);
const FINISHED: Duration = Duration::from_secs(180);
/// A frozen broker is noticed when it has been silent for ten seconds; everything else is noticed sooner.
const TOLD: Duration = Duration::from_secs(20);
/// Maximum of warnings and errors that one process may log for one outage.
const MOST_LINES: usize = 5;

/// How long the dependency is away.
fn outage() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS").map_or(60, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A pipeline, and what was sent through it.
struct Run {
    fleet: Fleet,
    sent: Vec<Sent>,
    /// How much of each log was there before the outage.
    logged: BTreeMap<String, usize>,
}

impl Run {
    fn of(fleet: Fleet) -> Self {
        Self {
            fleet,
            sent: Vec::new(),
            logged: BTreeMap::new(),
        }
    }

    /// All stages, and a first part of the run behind them.
    fn start(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut run = Self::of(Fleet::whole(broker, name, settings)?);
        run.send(5)?;
        run.fleet.wait_no_lag(SOON)?;
        run.outage_begins();
        Ok(run)
    }

    /// Sends events with two files each, of which one takes three seconds to download.
    fn send(&mut self, events: usize) -> Result<()> {
        self.send_urls(
            events,
            &[
                ("ok", "https://claimxperience.com"),
                ("slow", "https://claimxperience.com"),
            ],
        )
    }

    fn send_urls(&mut self, events: usize, kinds: &[(&str, &str)]) -> Result<()> {
        let mut records = Vec::new();
        for _ in 0..events {
            let trace_id = format!("event-{}", self.sent.len());
            let url = |(kind, host): &(&str, &str)| format!("{host}/{kind}/9000/{trace_id}/{kind}.pdf?{SIGNED}");
            let urls: Vec<String> = kinds.iter().map(url).collect();
            let event = event(&trace_id, &json!(urls));
            self.sent.push(Sent::read(&trace_id, &event));
            records.push((trace_id, event));
        }
        kcat::produce_all(&self.fleet.broker, &self.fleet.topic("raw"), &records)
    }

    /// From here on the logs are counted.
    fn outage_begins(&mut self) {
        let logs = self.fleet.handlers().iter();
        self.logged = logs
            .map(|(name, running)| (name.clone(), running.process.log().len()))
            .collect();
    }

    /// Waits for the end of the outage. All that time every process lives; those that are named here with words of their
    /// reason are soon not ready for it, and stay so.
    fn sit_out(&self, not_ready: &[(&str, &str)]) -> Result<()> {
        let begin = Instant::now();
        let mut told: Vec<&str> = Vec::new();
        while begin.elapsed() < outage() {
            for (name, running) in self.fleet.handlers() {
                assert_eq!(running.get("/health/live")?.0, 200, "{name} must live");
            }
            for &(name, words) in not_ready {
                let reasons = self.fleet[name].reasons().map(|reasons| reasons.to_string());
                let says_so = reasons.as_ref().is_some_and(|reasons| reasons.contains(words));
                if says_so && !told.contains(&name) {
                    told.push(name);
                }
                let since = begin.elapsed();
                assert!(
                    reasons.is_some() || !told.contains(&name),
                    "{name} is ready again after {since:?}"
                );
                assert!(
                    says_so || told.contains(&name) || since < TOLD,
                    "{name} should say {words:?}: {reasons:?}"
                );
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// The dependency is back: everything gets ready and finishes, and nothing else has happened.
    fn finish(mut self) -> Result<()> {
        self.wait_until_done()?;
        self.samples_fill_in()?;
        assert_exactly_what_was_sent(&self.sent, &self.fleet.tables()?, &self.fleet.files());
        self.assert_nothing_is_left_over()
    }

    fn wait_until_done(&mut self) -> Result<()> {
        let names: Vec<String> = self.fleet.handlers().keys().cloned().collect();
        for name in &names {
            // A client that found no broker retries every half minute.
            self.fleet[name].wait_ready_within(FINISHED)?;
        }
        self.fleet.wait_no_lag(FINISHED)?;
        for name in &names {
            assert_eq!(self.fleet[name].get("/health/ready")?.0, 200, "{name}");
        }
        Ok(())
    }

    fn samples_fill_in(&mut self) -> Result<()> {
        self.fleet.samples.fill_in(&mut self.sent)
    }

    fn assert_nothing_is_left_over(&self) -> Result<()> {
        assert_eq!(self.fleet.records("dlq")?, [], "no good message is a dead letter");
        assert_eq!(self.fleet.cached(), Vec::<PathBuf>::new());
        for (name, running) in self.fleet.handlers() {
            let log = running.process.log();
            let lines = log[self.logged.get(name).copied().unwrap_or(0)..].lines();
            let loud: Vec<&str> = lines
                .filter(|line| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\""))
                .collect();
            assert!(
                loud.len() <= MOST_LINES,
                "{name} says {} times:\n{}",
                loud.len(),
                loud.join("\n")
            );
        }
        Ok(())
    }
}

/// Every stage, not ready for its broker.
fn every_stage(words: &'static str) -> Vec<(&'static str, &'static str)> {
    xact_testkit::stages::STAGES
        .iter()
        .map(|(stage, _, _)| (*stage, words))
        .collect()
}

#[test]
fn outage_of_a_broker_that_was_stopped() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), "stopped", &[])?;
    run.send(10)?;
    kafka.stop()?;
    run.sit_out(&every_stage("no broker answers"))?;
    kafka.restart()?;
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_of_a_broker_that_was_killed() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), "killed", &[])?;
    run.send(10)?;
    kafka.kill()?;
    run.sit_out(&every_stage("no broker answers"))?;
    kafka.restart()?;
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_of_a_broker_that_is_frozen() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), "frozen", &[])?;
    run.send(10)?;
    kafka.pause()?;
    run.sit_out(&every_stage("broker"))?;
    kafka.resume()?;
    run.send(5)?;
    run.finish()
}

/// A client that requests metadata while the cluster is empty drops all known brokers, and librdkafka may never reconnect.
#[test]
fn outage_of_a_broker_that_its_controller_deregisters() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), "flapping", &[])?;
    run.send(20)?;
    kafka.set_flapping(true)?;
    kafka.restart()?;
    let mut seen = BTreeSet::new();
    let begin = Instant::now();
    while begin.elapsed() < outage() {
        seen.insert(kafka.brokers()?);
        for (name, running) in run.fleet.handlers() {
            assert_eq!(running.get("/health/live")?.0, 200, "{name} must live");
        }
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(Vec::from_iter(seen), [0, 1], "it comes and goes");
    kafka.set_flapping(false)?;
    kafka.restart()?;
    // Each flap was logged: only log lines from here on are counted.
    run.outage_begins();
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_of_the_credentials() -> Result<()> {
    let connection =
        |key: &str| format!("Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=x;SharedAccessKey={key}=");
    let (right, other) = (
        connection(&format!("{PLANTED}right")),
        connection(&format!("{PLANTED}other")),
    );
    let mut kafka = Kafka::start_secured(&right)?;
    let (address, certificate) = kafka.secured().unwrap();
    let certificate = certificate.display().to_string();
    let settings = [
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", address.as_str()),
        ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ("LOCAL_KAFKA_CONNECTION_STRING", &right),
        ("SSL_CERT_FILE", &certificate),
    ];
    let mut run = Run::start(kafka.bootstrap(), "credentials", &settings)?;
    run.send(10)?;
    // The key is rolled, and rolled back.
    kafka.set_connection_string(&other)?;
    kafka.restart()?;
    run.sit_out(&every_stage("credentials are refused"))?;
    kafka.set_connection_string(&right)?;
    kafka.restart()?;
    run.send(5)?;
    run.finish()
}

/// Puts a file where a folder is; what was in it waits beside it.
fn block(folder: &Path) {
    fs::rename(folder, folder.with_extension("away")).unwrap();
    fs::write(folder, "in the way").unwrap();
}

fn unblock(folder: &Path) {
    fs::remove_file(folder).unwrap();
    fs::rename(folder.with_extension("away"), folder).unwrap();
}

#[test]
fn outage_of_a_lake_that_refuses() -> Result<()> {
    let mut run = Run::start(Kafka::shared()?.bootstrap(), "refusing", &[])?;
    let (files, tables) = (run.fleet.files(), run.fleet.dir.join("tables"));
    // First the tables alone: results still come, and cannot be written.
    block(&tables);
    run.send(5)?;
    wait_until(SOON, "the writers say so", || {
        run.fleet["event-writer"].reasons()?;
        run.fleet["result-processor"].reasons().map(drop)
    })?;
    block(&files);
    run.send(5)?;
    let (files_text, tables_text) = (files.display().to_string(), tables.display().to_string());
    run.sit_out(&[
        ("upload", &files_text),
        ("event-writer", &tables_text),
        ("result-processor", &tables_text),
    ])?;
    assert_eq!(
        run.fleet["download"].get("/health/ready")?.0,
        200,
        "who needs no lake is ready"
    );
    unblock(&tables);
    unblock(&files);
    run.send(5)?;
    run.finish()
}

/// Compiles the library that makes a process's disk slow.
fn slow_files(dir: &WorkDir) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload/slow_files.c");
    let library = dir.join("slow_files.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "a C compiler is needed: apt-get install gcc libc6-dev"
    );
    library
}

#[test]
fn outage_of_a_lake_that_is_slow() -> Result<()> {
    let dir = WorkDir::new("slow")?;
    let (library, flag) = (slow_files(&dir), dir.join("slow-now"));
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "slow", &[])?;
    fleet.create_topics()?;
    for (name, folder) in [
        ("upload", "files"),
        ("event-writer", "tables"),
        ("result-processor", "tables"),
    ] {
        let folder = fleet.dir.join(folder).display().to_string();
        let settings = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("SLOW_FOLDER", &folder),
            ("SLOW_WHILE", flag.to_str().unwrap()),
            // Each file, data file and commit.
            ("SLOW_SECONDS", "5"),
        ];
        fleet.spawn(name, name, &settings)?;
        fleet[name].wait_ready()?;
    }
    fleet.start(&["event-ingester", "download", "retry-scheduler", "dlq"])?;
    let mut run = Run::of(fleet);
    run.send(5)?;
    run.fleet.wait_no_lag(SOON)?;
    run.outage_begins();

    let done = |run: &Run| -> Result<(f64, f64)> {
        let files = run.fleet["upload"]
            .metrics()?
            .sum("onelake_operations_total", &[("status", "success")]);
        let rows = run.fleet["event-writer"]
            .metrics()?
            .sum("delta_events_written_total", &[]);
        Ok((files, rows))
    };
    let before = done(&run)?;
    fs::write(&flag, "").unwrap();
    run.send(10)?;
    thread::sleep(outage() / 2);
    run.send(10)?;
    // Slow is not down: the stage stays ready and continues.
    run.sit_out(&[])?;
    for name in ["upload", "event-writer", "result-processor"] {
        assert_eq!(run.fleet[name].get("/health/ready")?.0, 200, "{name}");
    }
    let after = done(&run)?;
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} became {after:?}");
    let took = run.fleet["event-writer"]
        .metrics()?
        .sum("delta_write_duration_seconds_sum", &[]);
    assert!(took >= 5.0, "the disk was slow: all writes together took {took} s");
    fs::remove_file(&flag).unwrap();
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_by_commit_conflicts_of_six_writers_and_a_foreign_one() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "conflicts", &[])?;
    fleet.create_topics()?;
    let names: Vec<String> = (1..=6).map(|number| format!("result-processor-{number}")).collect();
    for name in &names {
        // A batch time this short commits whatever has arrived.
        fleet.spawn(name, "result-processor", &[("RESULT_BATCH_SECONDS", "0.05")])?;
    }
    for name in &names {
        fleet[name].wait_ready()?;
    }
    let mut sent = 0;
    let mut send = |count: usize| {
        let records: Vec<(String, Vec<u8>)> = (sent..sent + count)
            .map(|index| {
                let trace_id = format!("t-{index}");
                let result = completed(&trace_id, "https://claimxperience.com/a.pdf");
                (trace_id, result)
            })
            .collect();
        sent += count;
        kcat::produce_all(&fleet.broker, &fleet.topic("results"), &records)
    };
    send(60)?;
    fleet.wait_no_lag(SOON)?;

    let table = fleet.dir.join("tables/xact_attachments");
    let foreign = thread::spawn({
        let table = table.clone();
        move || {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../append_rows.py");
            python::run_script(&script, [table.into_os_string(), outage().as_secs().to_string().into()])
        }
    });
    let begin = Instant::now();
    while begin.elapsed() < outage() {
        send(30)?;
        for name in &names {
            assert_eq!(fleet[name].get("/health/live")?.0, 200, "{name} must live");
        }
        thread::sleep(Duration::from_millis(300));
    }
    let foreign: usize = foreign.join().unwrap()?.trim().parse().unwrap();
    assert!(foreign > 0, "the foreign writer has not written");
    let run = Run::of(fleet);
    run.fleet.wait_no_lag(FINISHED)?;
    let rows = run.fleet.tables()?.attachments;
    let (theirs, ours): (Vec<&Value>, Vec<&Value>) = rows
        .iter()
        .partition(|row| row["media_id"].as_str().is_some_and(|id| id.starts_with("foreign-")));
    assert_eq!((ours.len(), theirs.len()), (sent, foreign));
    for name in &names {
        let written = run.fleet[name].metrics()?.sum("delta_events_written_total", &[]);
        assert!(written > 0.0, "{name} was starved");
        assert_eq!(run.fleet[name].get("/health/ready")?.0, 200, "{name}");
    }
    run.assert_nothing_is_left_over()
}

/// What runs a command in a mount namespace of its own, where it may mount.
fn namespace() -> &'static [&'static str] {
    let ways: [&[&str]; 2] = [
        &["unshare", "--user", "--map-root-user", "--mount"],
        &["unshare", "--mount"],
    ];
    let works = |way: &&&[&str]| {
        let mount = ["mount", "-t", "tmpfs", "tmpfs", "/tmp"];
        let tried = Command::new(way[0]).args(&way[1..]).args(mount).output();
        tried.is_ok_and(|output| output.status.success())
    };
    match ways.iter().find(works) {
        Some(way) => way,
        None => panic!(
            "this test fills a small tmpfs, and may not mount one here: be root with CAP_SYS_ADMIN, or allow user \
             namespaces (on Ubuntu: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"
        ),
    }
}

#[test]
fn outage_of_a_cache_volume_that_is_full() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "full", &[])?;
    fleet.create_topics()?;
    let cache = fleet.dir.join("cache").display().to_string();
    let port = ports::free()?;
    let mut environment = fleet.environment.clone();
    environment.push(("METRICS_PORT".to_owned(), port.to_string()));
    let script = r#"mkdir -p "$CACHE_DIR" && mount -t tmpfs -o size=16m tmpfs "$CACHE_DIR" && exec "$0""#;
    let mut command = namespace().to_vec();
    command.extend(["sh", "-c", script]);
    let program = binary("xact-pipeline")?;
    let mut args: Vec<&str> = command[1..].to_vec();
    args.push(program.to_str().unwrap());
    let process = Process::spawn("pipeline", command[0], args, environment, fleet.dir.path())?;
    let address = format!("127.0.0.1:{port}");
    // The volume, as the process sees it.
    let volume = PathBuf::from(format!("/proc/{}/root{cache}", process.id()));
    fleet.adopt(Running { process, address });
    fleet["pipeline"].wait_ready()?;
    let mut run = Run::of(fleet);
    run.send(5)?;
    run.fleet.wait_no_lag(SOON)?;
    run.outage_begins();

    // Two megabytes are left, and ten slow downloads of one megabyte begin: they run into the end of the volume.
    let ballast = volume.join("ballast");
    fs::write(&ballast, vec![0; 14 * 1024 * 1024]).unwrap();
    let host = "https://claimxperience.com";
    for _ in 0..10 {
        let trace_id = format!("large-{}", run.sent.len());
        let event = event(&trace_id, &json!([format!("{host}/slow/1000000/{trace_id}/a.pdf")]));
        run.fleet.send("raw", &trace_id, &event)?;
        run.sent.push(Sent::read(&trace_id, &event));
    }
    wait_until(SOON, "a download has run into the end of the volume", || {
        run.fleet["pipeline"].reasons()?["download/cache volume"]
            .as_str()
            .map(drop)
    })?;
    // And now nothing is left at all, nor will be: what attempts that failed and uploads that succeeded give back is filled
    // up again, until there is nothing more that they could give.
    wait_until(SOON, "the volume holds ballast alone", || {
        while fs::write(
            volume.join(format!("ballast-{}", ballast_files(&volume))),
            vec![0; 64 * 1024],
        )
        .is_ok()
        {}
        let is_ballast = |path: &&PathBuf| path.to_string_lossy().contains("ballast");
        let files = files_below(&volume);
        let bytes = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let others: u64 = files.iter().filter(|path| !is_ballast(path)).map(bytes).sum();
        (others == 0).then_some(())
    })?;
    run.sit_out(&[("pipeline", "cache volume")])?;
    for index in 0..ballast_files(&volume) {
        let _ = fs::remove_file(volume.join(format!("ballast-{index}")));
    }
    fs::remove_file(&ballast).unwrap();
    run.send(5)?;
    run.wait_until_done()?;
    assert_eq!(files_below(&volume), Vec::<PathBuf>::new());
    run.finish()
}

fn ballast_files(volume: &Path) -> usize {
    let entries = fs::read_dir(volume).unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("ballast-"))
        .count()
}

#[test]
fn outage_of_the_attachment_server() -> Result<()> {
    // Attempts: at once; during the outage; soon after it, of which the half-open breaker lets one through; and again.
    let delays = format!("{},35,36,40", outage().as_secs() / 3);
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "server", &[("RETRY_DELAYS", &delays)])?;
    fleet.create_topics()?;
    fleet.start(&xact_testkit::stages::STAGES.map(|(stage, _, _)| stage))?;
    let mut run = Run::of(fleet);
    let host = format!(
        "http://localhost:{}",
        run.fleet.samples.http.rsplit(':').next().unwrap()
    );
    run.send_urls(5, &[("ok", &host)])?;
    run.fleet.wait_no_lag(SOON)?;
    run.outage_begins();
    let breaker = |run: &Run| {
        let metrics = run.fleet["download"].metrics().ok()?;
        Some(metrics.sum("kafka_circuit_breaker_state", &[("component", "localhost")]))
    };
    assert_eq!(breaker(&run), Some(0.0), "closed");

    run.fleet.samples.kill()?;
    let before = run.sent.len();
    run.send_urls(20, &[("ok", &host)])?;
    wait_until(SOON, "the breaker opens", || (breaker(&run)? == 1.0).then_some(()))?;
    run.sit_out(&[])?;
    assert_ne!(breaker(&run), Some(0.0), "not closed while the server is away");
    // One host among many: its files wait in the retry topics, and the stage is ready for others.
    assert_eq!(run.fleet["download"].get("/health/ready")?.0, 200);
    run.fleet.samples.restart()?;
    run.wait_until_done()?;
    assert_eq!(breaker(&run), Some(0.0), "closed again");

    run.samples_fill_in()?;
    let mut tables = run.fleet.tables()?;
    for attachment in run.sent[before..].iter_mut().flat_map(|sent| &mut sent.attachments) {
        if let End::File { retries, .. } = &mut attachment.end {
            *retries = 1..=2;
        }
        let row = tables
            .attachments
            .iter_mut()
            .find(|row| row["media_id"] == *attachment.media_id);
        let count = &mut row.unwrap()["retry_count"];
        assert!((1..=4).contains(&count.as_u64().unwrap()), "{count}");
        *count = 1.into();
    }
    assert_exactly_what_was_sent(&run.sent, &tables, &run.fleet.files());
    run.assert_nothing_is_left_over()
}
