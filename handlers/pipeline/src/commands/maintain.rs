//! `maintain`: what the tables and files need from time to time, in one run that a schedule starts.

use clap::Args;

use super::{leftovers, table};
use crate::outcome::CommandResult;
use crate::ui;
use xact_config::{Environment, Settings};
use xact_operations::tables::{Upkeep, UpkeepLimits, upkeep};

/// The limits of the run.
///
/// In each table, small files are rewritten as larger ones, a checkpoint is written, and log entries older than the table's
/// delta.logRetentionDuration (30 days) and files that no version within the retention uses are deleted. Then unfinished
/// uploads older than a day are deleted. Every step is safe while handlers write, and while another run does the same. The
/// step that reaches a limit is finished, no other begins, and the next run continues; this is not an error. A table that
/// does not exist yet is not an error either. A table that cannot be maintained keeps no other from it; the exit code is 1.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Maintain {
    #[command(flatten)]
    limits: UpkeepLimits,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Maintains the tables and the files.
pub(crate) async fn run(environment: &Environment, arguments: Maintain) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let done = upkeep(&settings, arguments.limits).await;
    if arguments.json {
        ui::json_line(&done)?;
    } else {
        print(&done);
    }
    Ok(done.failures.is_empty().into())
}

fn print(done: &Upkeep) {
    done.steps.iter().for_each(table::print);
    if let Some(found) = &done.leftovers {
        leftovers::print(found);
    }
    for failure in &done.failures {
        ui::error_line(format_args!("{}: {}", failure.of, failure.reason));
    }
    if let Some(option) = done.stopped_by {
        ui::line(format_args!("{option} is reached; the next run continues"));
    }
    ui::line(format_args!(
        "{:.1} s, {:.4} CU seconds of OneLake",
        done.seconds, done.cu_seconds
    ));
}
