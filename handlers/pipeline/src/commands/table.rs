//! `table info|optimize|vacuum|checkpoint`: maintenance of the Delta tables, safe while handlers run.
//!
//! Each answer about a table in OneLake ends with its cost: a line of text, or the keys `requests`, `cu_seconds` and
//! `billing` (both figures by class).

use clap::{Args, Subcommand};

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::upkeep::{mib, outcome_line};
use crate::ui::{self, or_dash};
use xact_config::{Environment, Settings};
use xact_operations::tables::{self, Maintenance, TableAnswer, TableOutcome, TableState, Tables, VacuumOptions};

const MIB: u64 = 1024 * 1024;

/// Maintenance of the tables.
#[derive(Debug, Subcommand)]
pub(crate) enum TableAction {
    /// Show version, files, rows, dates and positions, with advice
    Info(Which),
    /// Rewrite small files as larger ones; safe while handlers write
    Optimize {
        #[command(flatten)]
        which: Which,
        /// Size of the files to write
        #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=4096))]
        target_mib: u64,
    },
    /// List files that no version within the retention period uses; with --yes, delete them
    Vacuum {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        options: VacuumOptions,
    },
    /// Write a checkpoint
    Checkpoint {
        #[command(flatten)]
        which: Which,
        /// Then delete log entries older than the table's delta.logRetentionDuration (30 days)
        #[arg(long)]
        clean_log: bool,
    },
}

/// Which tables, and in which format to answer.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Which {
    /// Which table
    #[arg(long, value_enum, default_value_t = Tables::All)]
    table: Tables,
    /// Answer in JSON; tables in OneLake have `requests`, `cu_seconds` and `billing`
    #[arg(long)]
    json: bool,
}

/// Maintains each chosen table; exit 1 if a table does not exist.
pub(crate) async fn run(environment: &Environment, action: TableAction) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let (which, maintenance) = match action {
        TableAction::Info(which) => (which, Maintenance::Info),
        TableAction::Optimize { which, target_mib } => {
            let target_bytes = target_mib * MIB;
            (which, Maintenance::Optimize { target_bytes })
        }
        TableAction::Vacuum { which, options } => (which, Maintenance::Vacuum(options)),
        TableAction::Checkpoint { which, clean_log } => (which, Maintenance::Checkpoint { clean_log }),
    };
    let answers = tables::maintain(&settings, which.table, maintenance).await?;
    if which.json {
        ui::json(&answers)?;
    } else {
        answers.iter().for_each(print);
    }
    let is_missing = |answer: &TableAnswer| matches!(answer.outcome, TableOutcome::Missing { .. });
    Ok(ExitStatus::from(!answers.iter().any(is_missing)))
}

fn print(answer: &TableAnswer) {
    let name = answer.table;
    if let TableOutcome::State(state) = &answer.outcome {
        print_state(name, state);
    }
    if let Some(line) = outcome_line(answer) {
        ui::line(line);
    }
    if let Some(cost) = &answer.cost {
        ui::line(format_args!("{name}: {cost}"));
    }
}

fn print_state(name: &str, state: &TableState) {
    let mut table = ui::Table::new(&[name, &state.location]);
    let mut row = |name: &str, value: String| table.add_row([name.to_owned(), value]);
    row("version", state.version.to_string());
    let checkpoint = state.checkpoint.map(|version| version.to_string());
    row("last checkpoint", checkpoint.unwrap_or_else(|| "none".to_owned()));
    row("rows", state.rows.to_string());
    row("files", format!("{}, {} of them small", state.files, state.small_files));
    row("MiB", mib(state.bytes));
    let (first, last) = (or_dash(state.first_date), or_dash(state.last_date));
    row("dates", format!("{}, {first} to {last}", state.dates));
    for (app_id, next) in &state.positions {
        row(app_id.as_str(), format!("written up to offset {next}"));
    }
    for obstacle in &state.obstacles {
        row("cannot be appended to", obstacle.clone());
    }
    for advice in &state.advice {
        row("advice", advice.clone());
    }
    table.print();
}
