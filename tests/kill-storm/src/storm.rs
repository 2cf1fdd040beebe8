//! A run from its first event to its verdict.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
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
/// Between two looks at the processes.
const WATCH: Duration = Duration::from_secs(1);
/// Findings that are shown, and looked for in topics and logs.
const SHOWN: usize = 20;

/// Runs a storm and judges what it left. What is wrong is printed, and the work directory kept.
///
/// # Errors
/// When the run itself cannot be done: a process does not start, the broker does not take the events, nothing moves any
/// more.
pub fn run(options: Options) -> Result<Report> {
    println!("seed {}", options.seed);
    let events = events::of_seed(options.seed, options.events);
    let mut cluster = Cluster::start(options.azure)?;
    let began = Instant::now();
    let done = rage(&mut cluster, &events, options);
    if let Err(error) = done.and_then(|()| drain::wait(&mut cluster)) {
        cluster.dir.keep();
        println!("work directory: {}", cluster.dir.path().display());
        return Err(error);
    }
    let took = began.elapsed();
    judge(&mut cluster, &events, options, took)
}

/// Sends the events while the schedule is carried out; in the end everything runs.
fn rage(cluster: &mut Cluster, events: &[Generated], options: Options) -> Result<()> {
    let steps = schedule::of_seed(options.seed, cluster.processes(), options.azure, options.duration);
    let broker = cluster.broker().to_owned();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender::send(&broker, events, options.duration));
        let began = Instant::now();
        let mut told = Duration::ZERO;
        for step in steps {
            loop {
                let wait = step.at.saturating_sub(began.elapsed());
                if wait.is_zero() {
                    break;
                }
                thread::sleep(wait.min(WATCH));
                cluster.watch()?;
            }
            cluster.strike(step)?;
            if began.elapsed() >= told + Duration::from_secs(30) {
                told = began.elapsed();
                println!(
                    "storm: {} of {} s, {}",
                    told.as_secs(),
                    options.duration.as_secs(),
                    strikes(cluster)
                );
            }
        }
        let sent = sending.join();
        sent.unwrap_or_else(|_| Err(failed("the sender panicked", "see above")))
    })
}

fn strikes(cluster: &Cluster) -> String {
    let parts = cluster
        .struck
        .iter()
        .map(|((who, act), count)| format!("{who} {act:?} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn judge(cluster: &mut Cluster, events: &[Generated], options: Options, took: Duration) -> Result<Report> {
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
        deaths: cluster.deaths.clone(),
        left,
        lag,
        struck: cluster.struck.clone(),
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

/// What is wrong, and where to look.
fn explain(cluster: &Cluster, report: &Report) -> Result<()> {
    for finding in report.findings.iter().take(SHOWN) {
        println!("{:?}: {}", finding.fault, finding.text);
    }
    for death in &report.deaths {
        println!("{death}");
    }
    for path in report.left.iter().take(SHOWN) {
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
    ids.truncate(SHOWN);
    if !ids.is_empty() {
        println!("where they were seen:");
        for place in last_seen::places(cluster, &ids)? {
            println!("{place}");
        }
    }
    println!("work directory with all logs: {}", cluster.dir.path().display());
    Ok(())
}
