//! Runs a storm from its first event to its report.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::schedule::Targets;
use crate::verdict::{self, Evidence};
use crate::{Options, Report, drain, last_seen, schedule, sender};
use xact_testkit::compare::Fault;
use xact_testkit::events::{self, Generated};
use xact_testkit::pipeline::json_lines;
use xact_testkit::sent::Sent;
use xact_testkit::{Result, tables};
use xact_testkit::{failed, kcat};

/// The dead-letter topic.
const DLQ: &str = "xact.downloads.dlq";
/// Time between two checks of the processes.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of findings that are printed and searched for in topics and logs.
const MAX_PRINTED: usize = 20;

/// Runs a storm and verifies its results. If something is wrong, prints it and keeps the work directory.
pub fn run(options: Options) -> Result<Report> {
    println!("seed {}", options.seed);
    let events = events::of_seed(options.seed, options.events);
    let mut cluster = Cluster::start(&options)?;
    let began = Instant::now();
    let done = inject_faults(&mut cluster, &events, options);
    if let Err(error) = done.and_then(|()| drain::wait(&mut cluster)) {
        cluster.dir.keep();
        println!("work directory: {}", cluster.dir.path().display());
        return Err(error);
    }
    let took = began.elapsed();
    verify(&mut cluster, &events, options, took)
}

/// Sends the events while faults are injected by the schedule. Afterwards all processes run.
fn inject_faults(cluster: &mut Cluster, events: &[Generated], options: Options) -> Result<()> {
    let targets = Targets {
        handlers: cluster.processes(),
        has_lake: options.azure,
    };
    let steps = schedule::of_seed(options.seed, targets, options.duration);
    let broker = cluster.broker().to_owned();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender::send(&broker, events, options.duration));
        let began = Instant::now();
        let mut printed = Duration::ZERO;
        for step in steps {
            loop {
                let wait = step.at.saturating_sub(began.elapsed());
                if wait.is_zero() {
                    break;
                }
                thread::sleep(wait.min(CHECK_INTERVAL));
                cluster.watch()?;
            }
            cluster.apply(step)?;
            if began.elapsed() >= printed + Duration::from_secs(30) {
                printed = began.elapsed();
                println!(
                    "storm: {} of {} s, {}",
                    printed.as_secs(),
                    options.duration.as_secs(),
                    injected(cluster)
                );
            }
        }
        let sent = sending.join();
        sent.unwrap_or_else(|_| Err(failed("the sender panicked", "see above")))
    })
}

fn injected(cluster: &Cluster) -> String {
    let parts = cluster
        .injected
        .iter()
        .map(|((who, action), count)| format!("{who} {action:?} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn verify(cluster: &mut Cluster, events: &[Generated], options: Options, took: Duration) -> Result<Report> {
    let left = drain::left_in_cache(cluster)?;
    let lag = drain::lag_by_kafka(cluster)?;
    cluster.stop()?;
    let tables = tables::read_with_duplicates(&cluster.dir.join("tables"))?;
    let mut sent: Vec<Sent> = events.iter().map(|event| event.sent.clone()).collect();
    verdict::fill_in(&mut sent);
    let mut findings = verdict::findings(
        &sent,
        &Evidence {
            tables: &tables,
            files: &cluster.dir.join("files"),
            dead_letters: &kcat::consume(cluster.broker(), DLQ)?,
            audit: &json_lines(&cluster.dir.join("audit.jsonl"))?,
        },
    );
    findings.extend(verdict::in_logs(&cluster.logs()));
    let report = Report {
        options,
        attachments: sent.iter().map(|sent| sent.attachments.len()).sum(),
        completed: tables.attachments.len(),
        failed: tables.failed.len(),
        findings,
        unexpected_exits: cluster.unexpected_exits.clone(),
        left,
        lag,
        injected: cluster.injected.clone(),
        undrained: cluster.undrained,
        resident: cluster.resident.clone(),
        took,
    };
    if !report.is_good() {
        cluster.dir.keep();
        explain(cluster, &report)?;
    }
    println!("most memory: {}", report.memory());
    Ok(report)
}

/// Prints what is wrong and where its ids occur.
fn explain(cluster: &Cluster, report: &Report) -> Result<()> {
    for finding in report.findings.iter().take(MAX_PRINTED) {
        println!("{:?}: {}", finding.fault, finding.text);
    }
    for exit in &report.unexpected_exits {
        println!("{exit}");
    }
    for path in report.left.iter().take(MAX_PRINTED) {
        println!("left in the cache: {}", path.display());
    }
    let ids = report.findings.iter().filter(|finding| finding.fault != Fault::Wrong);
    let mut ids: Vec<String> = ids
        .map(|finding| finding.id.clone())
        .filter(|id| !id.is_empty())
        .collect();
    // A file's folder is named after its attachment.
    ids.extend(report.left.iter().filter_map(|path| {
        let folder = path.parent()?.file_name()?;
        Some(folder.to_string_lossy().into_owned())
    }));
    ids.truncate(MAX_PRINTED);
    if !ids.is_empty() {
        println!("where these ids occur:");
        for place in last_seen::places(cluster, &ids)? {
            println!("{place}");
        }
    }
    println!("work directory with all logs: {}", cluster.dir.path().display());
    Ok(())
}
