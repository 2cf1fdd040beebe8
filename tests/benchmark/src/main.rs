//! Measures the product next to a bare loop that does the same work without it: both figures of a pair come from one run, on
//! one machine, against the same broker and server. `tests/bench` builds and runs it.
//!
//! - [`ingest`]: events to tasks, next to bare loops of their bytes, and of their tasks
//! - [`download`]: tasks to cached files, next to bare loops of requests for the same files, and of the same tasks
//! - [`results`]: results to rows, next to appending the same rows to a Delta table without keys and positions, and on request
//!   (`--peer PATH`) next to a binary of kafka-delta-ingest on the same topic
//! - [`processes`]: the throughput of a stage by the number of its processes
//! - [`whole`]: events to rows through all stages; latency at half of that load; memory and start time of each handler
//! - [`idle`]: what each handler costs while it is idle
//! - [`onelake`]: files and commits at the latency of OneLake, next to a bare loop of the same requests
//! - [`growth`]: an append as its table grows: seconds, requests, memory
//! - [`cost`]: what Azure would bill for 1,000 attachments
//! - [`console`]: its pages, with many dead letters and a year of dates
//! - [`kafka`], [`messages`], [`table_log`], [`exact`]: what is sent, and what was written
//! - [`bench`], [`report`]: the test environment, and the output

#![allow(clippy::print_stdout, clippy::print_stderr)]
// Tests may use `unwrap`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod console;
mod cost;
mod download;
mod exact;
mod growth;
mod idle;
mod ingest;
mod kafka;
mod messages;
mod onelake;
mod processes;
mod report;
mod results;
mod table_log;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use bench::Bench;
use report::Report;
use results::peer::Peer;
use xact_testkit::Result;

/// Measures the product next to a bare loop that does the same work.
#[derive(Parser)]
#[command(name = "tests/bench")]
struct Cli {
    /// Events of `ingest`, results of `results`, both in `processes`, and dead letters of `console`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..=2_000_000))]
    events: u64,
    /// Files of `download`, in `processes` too, and events of `whole`.
    #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u64).range(200..=200_000))]
    files: u64,
    /// Added to each request to OneLake, in milliseconds: `onelake`.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(..=10_000))]
    latency_ms: u64,
    /// Measures only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// A binary of kafka-delta-ingest, which `results` measures on the same topic.
    #[arg(long, value_name = "PATH")]
    peer: Option<PathBuf>,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Only appends to the table in this folder: a process of `growth`.
    #[arg(long, hide = true)]
    append_to: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Ingest,
    Download,
    Results,
    Processes,
    Whole,
    Idle,
    Console,
    Onelake,
    Growth,
    Cost,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::default();
    if let Some(folder) = &cli.append_to {
        return match growth::append_to(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    // Before anything is measured.
    let peer = match cli.peer.as_deref().map(Peer::find).transpose() {
        Ok(peer) => peer,
        Err(error) => {
            eprintln!("tests/bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if peer.is_some() && !cli.wants(Part::Results) {
        eprintln!(
            "tests/bench: --peer is measured by the part `results`, which --only leaves out; add it: --only results"
        );
        return ExitCode::FAILURE;
    }
    match run(&cli, peer.as_ref(), &mut report) {
        Ok(()) => {
            println!("{}", if cli.json { report.json() } else { report.table() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tests/bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn run(cli: &Cli, peer: Option<&Peer>, report: &mut Report) -> Result<()> {
    let mut measured = |part, name: &str, measure: &dyn Fn(&mut Bench, &mut Report) -> Result<()>| {
        if !cli.wants(part) {
            return Ok(());
        }
        eprintln!("measuring {name} …");
        // Each part has its own broker, so that leftovers of one part do not slow down the next.
        measure(&mut Bench::start()?, report)
    };
    let (events, files) = (cli.events, cli.files);
    measured(Part::Ingest, "ingest", &|bench, report| {
        ingest::measure(bench, events, report)
    })?;
    measured(Part::Download, "download", &|bench, report| {
        download::measure(bench, files, report)
    })?;
    measured(Part::Results, "results", &|bench, report| {
        results::measure(bench, events, peer, report)
    })?;
    measured(Part::Processes, "processes", &|bench, report| {
        processes::measure(bench, events, files, report)
    })?;
    measured(Part::Whole, "whole", &|bench, report| {
        whole::measure(bench, files, report)
    })?;
    measured(Part::Idle, "idle", &idle::measure)?;
    measured(Part::Cost, "cost", &cost::measure)?;
    measured(Part::Console, "console", &|bench, report| {
        console::measure(bench, events, report)
    })?;
    if cli.wants(Part::Growth) {
        eprintln!("measuring growth …");
        growth::measure(report)?;
    }
    if cli.wants(Part::Onelake) {
        eprintln!("measuring onelake …");
        onelake::measure(Duration::from_millis(cli.latency_ms), report)?;
    }
    Ok(())
}
