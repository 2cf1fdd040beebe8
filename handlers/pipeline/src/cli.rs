//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::check::Check;
use crate::commands::console::Console;
use crate::commands::dlq::Dlq;
use crate::commands::explain::Explain;
use crate::commands::leftovers::Leftovers;
use crate::commands::maintain::Maintain;
use crate::commands::offsets::Offsets;
use crate::commands::produce::Produce;
use crate::commands::reconcile::Reconcile;
use crate::commands::table::TableAction;
use crate::commands::topics::Topics;
use crate::commands::trace::TraceId;
use crate::commands::validate::Validate;
use xact_config::Environment;
use xact_contracts::topology::{STAGES, Stage};

/// Insurance attachments from assignment events into OneLake: runs the pipeline, or one of its workers
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Run without Azure, Docker or anything installed: embedded broker (or the one at LOCAL_KAFKA_BOOTSTRAP_SERVERS),
    /// local lake, sample attachment server, all workers
    #[arg(long)]
    pub(crate) dev: bool,
    /// With --dev: send N sample events, some of them faulty, show progress, and print the results as a table
    #[arg(long, value_name = "N", requires = "dev", conflicts_with = "worker")]
    pub(crate) demo: Option<u64>,
    /// With --dev: folder of lake, tables, cache and audit log
    #[arg(long, value_name = "DIR", requires = "dev")]
    pub(crate) dev_dir: Option<PathBuf>,
    /// The worker to run
    #[arg(long, value_name = "NAME|all", default_value = "all", value_parser = parse_worker)]
    pub(crate) worker: WorkerChoice,
    /// Number of workers of each stage in this process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) count: u16,
    /// Port of /health, /metrics and /invoke; 0 takes a free one [METRICS_PORT, 8000]
    #[arg(long, value_name = "PORT")]
    pub(crate) metrics_port: Option<u16>,
    /// ERROR, WARN, INFO, DEBUG or TRACE [LOG_LEVEL, INFO]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Do not write the Delta tables
    #[arg(long)]
    pub(crate) no_delta: bool,
    /// Print every setting with its value and source, secrets hidden, and start nothing. With --dev they are in the console
    /// and in the file `environment` of the run's folder
    #[arg(long, conflicts_with = "dev")]
    pub(crate) show_settings: bool,
}

/// One stage or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerChoice {
    All,
    One(Stage),
}

fn parse_worker(name: &str) -> Result<WorkerChoice, String> {
    if name == "all" {
        return Ok(WorkerChoice::All);
    }
    name.parse()
        .map(WorkerChoice::One)
        .map_err(|error: xact_contracts::topology::UnknownStageError| format!("{error}, or all"))
}

impl WorkerChoice {
    /// Returns the stages to run.
    pub(crate) fn stages(self) -> Vec<Stage> {
        match self {
            Self::All => STAGES.iter().map(|row| row.stage).collect(),
            Self::One(stage) => vec![stage],
        }
    }
}

impl Run {
    /// Sets the variables that have a flag: flags take precedence.
    pub(crate) fn apply(&self, environment: &mut Environment) {
        if let Some(port) = self.metrics_port {
            environment.set("METRICS_PORT", port.to_string());
        }
        if let Some(level) = &self.log_level {
            environment.set("LOG_LEVEL", level);
        }
        if self.no_delta {
            environment.set("ENABLE_DELTA_WRITES", "false");
        }
    }
}

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send events from a file (JSON, a JSON list, or one JSON object a line) to the raw topic
    Produce(Produce),
    /// Send sample events to the raw topic
    Demo {
        /// How many
        #[arg(long, value_name = "N")]
        events: u64,
    },
    /// Serve web pages about the pipeline on this machine: stages, events, dead letters, tables, settings
    Console(Console),
    /// Check everything that the pipeline needs, one line each, with what to do where it failed
    Check(Check),
    /// Send one event and follow it to the file and the rows
    Validate(Validate),
    /// Create the topics, list them, or show lag per group
    Topics {
        #[command(subcommand)]
        action: Topics,
    },
    /// Inspect and maintain the Delta tables
    Table {
        #[command(subcommand)]
        action: TableAction,
    },
    /// Do everything that tables and files need from time to time, within limits: for a schedule
    Maintain(Maintain),
    /// List the unfinished files that killed uploads of versions before 0.2 left in OneLake; delete them with --execute
    Leftovers(Leftovers),
    /// List, view, replay or resolve dead letters
    Dlq {
        #[command(subcommand)]
        action: Dlq,
    },
    /// Show or move the positions of the consumer groups
    Offsets {
        #[command(subcommand)]
        action: Offsets,
    },
    /// Check that every attachment of every event in a time range is in exactly one place
    Reconcile(Reconcile),
    /// Find an event by any of its ids, and show where it and each of its attachments is, with every step
    Trace(TraceId),
    /// Show what the rules say about an attachment URL, without a request
    Explain(Explain),
    /// Print .env.example
    #[command(hide = true)]
    EnvExample,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_stage_is_a_worker_and_others_are_refused() {
        for row in &STAGES {
            assert_eq!(parse_worker(row.name), Ok(WorkerChoice::One(row.stage)));
        }
        assert!(
            parse_worker("uploads")
                .unwrap_err()
                .contains("result-processor, retry-scheduler, dlq, or all")
        );
    }
}
