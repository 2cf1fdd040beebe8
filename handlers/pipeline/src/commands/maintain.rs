//! `maintain`: what the tables and files need from time to time, in one run that a schedule starts.

use clap::Args;
use serde::Serialize;

use crate::outcome::CommandResult;
use crate::ui;
use crate::ui::upkeep::{done_lines, plan_lines};
use xact_config::{Environment, Settings};
use xact_operations::tables::{UpkeepFailure, UpkeepLimits, plan_upkeep, upkeep};

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
    /// Show what would be done, and change nothing; limits of time and CU seconds do not apply
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    limits: UpkeepLimits,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Maintains the tables and the files, or shows what that would do.
pub(crate) async fn run(environment: &Environment, arguments: Maintain) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    if arguments.dry_run {
        let plan = plan_upkeep(&settings, arguments.limits).await;
        return print(&plan, plan_lines(&plan), &plan.failures, arguments.json);
    }
    let done = upkeep(&settings, arguments.limits).await;
    print(&done, done_lines(&done), &done.failures, arguments.json)
}

fn print(answer: &impl Serialize, lines: Vec<String>, failures: &[UpkeepFailure], json: bool) -> CommandResult {
    if json {
        ui::json_line(answer)?;
    } else {
        lines.into_iter().for_each(ui::line);
        for failure in failures {
            ui::error_line(format_args!("{}: {}", failure.of, failure.reason));
        }
    }
    Ok(failures.is_empty().into())
}
