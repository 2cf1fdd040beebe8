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
use xact_testkit::events::completed;
use xact_testkit::namespace::connection_string;
use xact_testkit::pipeline::files_below;
use xact_testkit::secrets::SIGNED;
use xact_testkit::sent::End;
use xact_testkit::{Fleet, Kafka, Process, Result, Running, WorkDir, binary, ports, python, stages};

/// Time within which a stage that found no broker is ready again: it retries every half minute.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// Time within which an outage is reported. A frozen broker is noticed when it has been silent for ten seconds; everything else
/// is noticed sooner.
const REPORT_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum of warnings and errors that one process may log for one outage.
const MAX_LINES: usize = 5;
const HOST: &str = "https://claimxperience.com";

/// How long the dependency is away.
fn outage() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS").map_or(60, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A pipeline during an outage.
struct Run {
    fleet: Fleet,
    /// Size of each log before the outage.
    logged: BTreeMap<String, usize>,
}

impl Run {
    /// Starts all stages, and finishes a first part of the run.
    fn start(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::begin(Fleet::whole(broker, name, settings)?)
    }

    /// Finishes a first part of the run on a fleet that was started.
    fn begin(fleet: Fleet) -> Result<Self> {
        let logged = BTreeMap::new();
        let mut run = Self { fleet, logged };
        run.send(5)?;
        run.fleet.wait_no_lag()?;
        run.outage_begins();
        Ok(run)
    }

    /// Sends events with two files each, of which one takes three seconds to download.
    fn send(&mut self, events: usize) -> Result<()> {
        self.send_urls(events, HOST, &["ok", "slow"])
    }

    fn send_urls(&mut self, events: usize, host: &str, kinds: &[&str]) -> Result<()> {
        for _ in 0..events {
            let trace_id = format!("event-{}", self.fleet.sent.len());
            let url = |kind: &&str| format!("{host}/{kind}/9000/{trace_id}/{kind}.pdf?{SIGNED}");
            self.fleet.send_event(&trace_id, &kinds.iter().map(url).collect())?;
        }
        Ok(())
    }

    /// From here on the lines of the logs are counted.
    fn outage_begins(&mut self) {
        let logs = self.fleet.handlers().iter();
        self.logged = logs
            .map(|(name, running)| (name.clone(), running.process.log().len()))
            .collect();
    }

    /// Waits for the end of the outage. All that time every process is live. Each process that is named here with a part of its
    /// reason is soon not ready for that reason, and stays so.
    fn wait_for_the_end(&self, not_ready: &[(&str, &str)]) -> Result<()> {
        let begin = Instant::now();
        let mut reported: Vec<&str> = Vec::new();
        while begin.elapsed() < outage() {
            self.assert_live()?;
            for &(name, words) in not_ready {
                let reasons = self.fleet[name].reasons().map(|reasons| reasons.to_string());
                let has_reason = reasons.as_ref().is_some_and(|reasons| reasons.contains(words));
                if has_reason && !reported.contains(&name) {
                    reported.push(name);
                }
                let (since, is_reported) = (begin.elapsed(), reported.contains(&name));
                assert!(
                    reasons.is_some() || !is_reported,
                    "{name} is ready again after {since:?}"
                );
                assert!(
                    is_reported || since < REPORT_TIMEOUT,
                    "{name}: {words:?} is not in {reasons:?}"
                );
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    fn assert_live(&self) -> Result<()> {
        for (name, running) in self.fleet.handlers() {
            assert_eq!(running.get("/health/live")?.0, 200, "{name}");
        }
        Ok(())
    }

    /// The dependency is back: everything becomes ready and finishes, and nothing else has happened.
    fn finish(mut self) -> Result<()> {
        self.wait_until_done()?;
        self.fleet.assert_exactly_what_was_sent()?;
        self.assert_nothing_is_left()
    }

    fn wait_until_done(&mut self) -> Result<()> {
        let names: Vec<String> = self.fleet.handlers().keys().cloned().collect();
        for name in &names {
            self.fleet[name].wait_ready_within(READY_TIMEOUT)?;
        }
        self.fleet.wait_no_lag()?;
        self.assert_ready(&names)
    }

    fn assert_ready(&self, names: &[impl AsRef<str>]) -> Result<()> {
        for name in names.iter().map(AsRef::as_ref) {
            assert_eq!(self.fleet[name].get("/health/ready")?.0, 200, "{name}");
        }
        Ok(())
    }

    /// No good message is a dead letter, the cache is empty, and each process has logged few lines.
    fn assert_nothing_is_left(&self) -> Result<()> {
        self.fleet.assert_nothing_is_left()?;
        for (name, running) in self.fleet.handlers() {
            let lines = running.warnings_after(self.logged.get(name).copied().unwrap_or(0));
            assert!(lines.len() <= MAX_LINES, "{name} has {} lines: {lines:#?}", lines.len());
        }
        Ok(())
    }
}

/// Returns every stage with a part of the reason why it is not ready.
fn every_stage(words: &str) -> Vec<(&'static str, &str)> {
    stages::names().map(|stage| (stage, words)).to_vec()
}

/// A run on a broker of its own that fails and comes back.
fn outage_of_a_broker(
    name: &str,
    fail: impl FnOnce(&mut Kafka) -> Result<()>,
    reason: &str,
    recover: impl FnOnce(&mut Kafka) -> Result<()>,
) -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), name, &[])?;
    run.send(10)?;
    fail(&mut kafka)?;
    run.wait_for_the_end(&every_stage(reason))?;
    recover(&mut kafka)?;
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_of_a_broker_that_was_stopped() -> Result<()> {
    let stop = |kafka: &mut Kafka| kafka.stop().map(drop);
    outage_of_a_broker("stopped", stop, "no broker answers", Kafka::restart)
}

#[test]
fn outage_of_a_broker_that_was_killed() -> Result<()> {
    outage_of_a_broker("killed", Kafka::kill, "no broker answers", Kafka::restart)
}

#[test]
fn outage_of_a_broker_that_is_frozen() -> Result<()> {
    outage_of_a_broker("frozen", Kafka::pause, "broker", Kafka::resume)
}

/// A client that requests metadata while the cluster is empty drops all known brokers, and librdkafka may never reconnect.
#[test]
fn outage_of_a_broker_that_its_controller_deregisters() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut run = Run::start(kafka.bootstrap(), "flapping", &[])?;
    run.send(20)?;
    kafka.set_flapping(true)?;
    kafka.restart()?;
    let mut brokers = BTreeSet::new();
    let begin = Instant::now();
    while begin.elapsed() < outage() {
        brokers.insert(kafka.brokers()?);
        run.assert_live()?;
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(Vec::from_iter(brokers), [0, 1], "numbers of registered brokers");
    kafka.set_flapping(false)?;
    kafka.restart()?;
    // Each flap was logged: only log lines from here on are counted.
    run.outage_begins();
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_of_the_credentials() -> Result<()> {
    let (right, other) = (connection_string("right"), connection_string("other"));
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
    run.wait_for_the_end(&every_stage("credentials are refused"))?;
    kafka.set_connection_string(&right)?;
    kafka.restart()?;
    run.send(5)?;
    run.finish()
}

/// Puts a file where a folder is, and the folder next to it.
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
    run.fleet.wait_until("the writers are not ready", || {
        run.fleet["event-writer"].reasons()?;
        run.fleet["result-processor"].reasons().map(drop)
    })?;
    block(&files);
    run.send(5)?;
    let (files_text, tables_text) = (files.display().to_string(), tables.display().to_string());
    run.wait_for_the_end(&[
        ("upload", &files_text),
        ("event-writer", &tables_text),
        ("result-processor", &tables_text),
    ])?;
    // It needs no lake.
    run.assert_ready(&["download"])?;
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
    let mut fleet = Fleet::shared("slow", &[])?;
    let slow = ["upload", "event-writer", "result-processor"];
    for (name, folder) in slow.into_iter().zip(["files", "tables", "tables"]) {
        let folder = fleet.dir.join(folder).display().to_string();
        let settings = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("SLOW_FOLDER", &folder),
            ("SLOW_WHILE", flag.to_str().unwrap()),
            // Each file, data file and commit.
            ("SLOW_SECONDS", "5"),
        ];
        fleet.spawn(name, name, &settings)?;
    }
    fleet.wait_ready(&slow)?;
    fleet.start(&["event-ingester", "download", "retry-scheduler", "dlq"])?;
    let mut run = Run::begin(fleet)?;

    let done = |run: &Run| -> Result<(f64, f64)> {
        let files = run.fleet["upload"].sum("onelake_operations_total", &[("status", "success")])?;
        Ok((files, run.fleet["event-writer"].sum("delta_events_written_total", &[])?))
    };
    let before = done(&run)?;
    fs::write(&flag, "").unwrap();
    run.send(10)?;
    thread::sleep(outage() / 2);
    run.send(10)?;
    // Slow is not down: the stage stays ready and continues.
    run.wait_for_the_end(&[])?;
    run.assert_ready(&slow)?;
    let after = done(&run)?;
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} became {after:?}");
    let took = run.fleet["event-writer"].sum("delta_write_duration_seconds_sum", &[])?;
    assert!(took >= 5.0, "the disk was slow: all writes together took {took} s");
    fs::remove_file(&flag).unwrap();
    run.send(5)?;
    run.finish()
}

#[test]
fn outage_by_commit_conflicts_of_six_writers_and_a_foreign_one() -> Result<()> {
    let mut fleet = Fleet::shared("conflicts", &[])?;
    let names: Vec<String> = (1..=6).map(|number| format!("result-processor-{number}")).collect();
    for name in &names {
        // A batch time this short commits whatever has arrived.
        fleet.spawn(name, "result-processor", &[("RESULT_BATCH_SECONDS", "0.05")])?;
    }
    fleet.wait_ready(&names)?;
    let run = Run {
        fleet,
        logged: BTreeMap::new(),
    };
    let mut sent = 0;
    let mut send = |run: &Run, count: usize| {
        let records = (sent..sent + count).map(|index| {
            let trace_id = format!("t-{index}");
            let result = completed(&trace_id, &format!("{HOST}/a.pdf"));
            (trace_id, result)
        });
        sent += count;
        run.fleet.send_all("results", records)
    };
    send(&run, 60)?;
    run.fleet.wait_no_lag()?;

    let table = run.fleet.dir.join("tables/xact_attachments");
    let foreign = thread::spawn({
        let table = table.clone();
        move || {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../append_rows.py");
            python::run_script(&script, [table.into_os_string(), outage().as_secs().to_string().into()])
        }
    });
    let begin = Instant::now();
    while begin.elapsed() < outage() {
        send(&run, 30)?;
        run.assert_live()?;
        thread::sleep(Duration::from_millis(300));
    }
    let foreign: usize = foreign.join().unwrap()?.trim().parse().unwrap();
    assert!(foreign > 0, "the foreign writer has not written");
    run.fleet.wait_no_lag()?;
    let rows = run.fleet.tables()?.attachments;
    let (theirs, ours): (Vec<&Value>, Vec<&Value>) = rows
        .iter()
        .partition(|row| row["media_id"].as_str().is_some_and(|id| id.starts_with("foreign-")));
    assert_eq!((ours.len(), theirs.len()), (sent, foreign));
    for name in &names {
        let written = run.fleet[name].sum("delta_events_written_total", &[])?;
        assert!(written > 0.0, "{name} has committed nothing");
    }
    run.assert_ready(&names)?;
    run.assert_nothing_is_left()
}

/// Returns the command that runs another one in its own mount namespace, where it may mount.
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
    let mut fleet = Fleet::shared("full", &[])?;
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
    let mut run = Run::begin(fleet)?;

    // Two megabytes are left, and ten slow downloads of one megabyte begin: they run into the end of the volume.
    let ballast = volume.join("ballast");
    fs::write(&ballast, vec![0; 14 * 1024 * 1024]).unwrap();
    for number in 0..10 {
        let trace_id = format!("large-{number}");
        let url = format!("{HOST}/slow/1000000/{trace_id}/a.pdf");
        run.fleet.send_event(&trace_id, &json!([url]))?;
    }
    run.fleet
        .wait_until("a download has run into the end of the volume", || {
            let reasons = run.fleet["pipeline"].reasons()?;
            reasons["download/cache volume"].as_str().map(drop)
        })?;
    // Then nothing is left at all: what failed attempts and successful uploads free is filled again, until they have nothing more
    // to free.
    run.fleet.wait_until("the volume has only ballast", || {
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
    run.wait_for_the_end(&[("pipeline", "cache volume")])?;
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
    let mut fleet = Fleet::shared("server", &[("RETRY_DELAYS", &delays)])?;
    fleet.start_all()?;
    let host = format!("http://localhost:{}", fleet.samples.http.rsplit(':').next().unwrap());
    let logged = BTreeMap::new();
    let mut run = Run { fleet, logged };
    run.send_urls(5, &host, &["ok"])?;
    run.fleet.wait_no_lag()?;
    run.outage_begins();
    let breaker = |run: &Run| {
        let labels = [("component", "localhost")];
        run.fleet["download"].sum("kafka_circuit_breaker_state", &labels).ok()
    };
    assert_eq!(breaker(&run), Some(0.0), "closed");

    run.fleet.samples.kill()?;
    let before = run.fleet.sent.len();
    run.send_urls(20, &host, &["ok"])?;
    run.fleet
        .wait_until("the breaker opens", || (breaker(&run)? == 1.0).then_some(()))?;
    run.wait_for_the_end(&[])?;
    assert_ne!(breaker(&run), Some(0.0), "not closed while the server is away");
    // One host among many: its files wait in the retry topics, and the stage is ready for others.
    run.assert_ready(&["download"])?;
    run.fleet.samples.restart()?;
    run.wait_until_done()?;
    assert_eq!(breaker(&run), Some(0.0), "closed again");

    let fleet = &mut run.fleet;
    fleet.samples.fill_in(&mut fleet.sent)?;
    let mut tables = fleet.tables()?;
    for attachment in fleet.sent[before..].iter_mut().flat_map(|sent| &mut sent.attachments) {
        if let End::File { retries, .. } = &mut attachment.end {
            *retries = 1..=2;
        }
        let mut rows = tables.attachments.iter_mut();
        let row = rows.find(|row| row["media_id"] == *attachment.media_id);
        let count = &mut row.unwrap()["retry_count"];
        assert!((1..=4).contains(&count.as_u64().unwrap()), "{count}");
        *count = 1.into();
    }
    assert_exactly_what_was_sent(&fleet.sent, &tables, &fleet.files());
    run.assert_nothing_is_left()
}
