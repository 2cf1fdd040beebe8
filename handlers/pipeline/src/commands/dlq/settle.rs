//! `dlq replay` and `dlq resolve`: shows the plan, asks, executes it.

use clap::Args;
use jiff::Timestamp;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::confirm::confirmed;
use crate::ui::text::cell;
use crate::ui::{self, Table, counted, or_dash};
use xact_config::Settings;
use xact_operations::OperationError;
use xact_operations::dead_letters::{
    self, Execution, PlannedEntry, Selection, SettledEntry, Settlement, SettlementPlan,
};

/// Maximum number of rows of the plan's table.
const MAX_ROWS: usize = 100;

/// Number of entries above which progress is reported.
const PROGRESS_THRESHOLD: usize = 20;

/// Arguments of `dlq replay` and `dlq resolve`.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    #[command(flatten)]
    selection: Selection,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// JSON lines: one object per entry, with what was done
    #[arg(long)]
    json: bool,
}

/// Settles the selected entries.
pub(super) async fn run(settings: &Settings, settlement: Settlement, by: &str, arguments: Settle) -> CommandResult {
    let plan = dead_letters::plan(settings, arguments.selection, settlement, Timestamp::now()).await?;
    // Without a dry run, the entries to settle are printed one by one when they are.
    let is_shown = |entry: &PlannedEntry| arguments.dry_run || !entry.is_planned();
    if arguments.json {
        for entry in plan.entries.iter().filter(|entry| is_shown(entry)) {
            ui::json_line(entry)?;
        }
    } else if plan.entries.iter().any(is_shown) || arguments.dry_run {
        print_table(&plan, is_shown);
    }
    let (count, refused) = (plan.planned().count(), plan.refused());
    let verb = match settlement {
        Settlement::Replayed => "replay",
        Settlement::Resolved => "resolve",
    };
    let topics = topics(&plan);
    if arguments.dry_run || count == 0 {
        let end = if arguments.dry_run {
            "dry run: omit --dry-run to apply"
        } else {
            "nothing to do"
        };
        ui::error_line(format_args!("{count} to {verb}{topics}, {refused} refused; {end}"));
        return Ok(ExitStatus::from(refused == 0));
    }
    let letters = counted(count, "dead letter");
    if !confirmed(&format!("{verb} {letters}{topics}?"), arguments.yes)? {
        ui::error_line("cancelled: nothing was changed");
        return Ok(ExitStatus::No);
    }
    let done = execute(settings, plan, by, arguments.json).await?;
    Ok(ExitStatus::from(
        refused == 0 && done.settled + done.settled_meanwhile == count,
    ))
}

async fn execute(
    settings: &Settings,
    plan: SettlementPlan,
    by: &str,
    as_json: bool,
) -> Result<Execution, OperationError> {
    let (done, refused, count) = (plan.settlement, plan.refused(), plan.planned().count());
    let mut progress = 0;
    let on_batch = |batch: &[SettledEntry]| {
        progress += batch.len();
        if as_json {
            for entry in batch {
                let _ = ui::json_line(entry);
            }
        }
        if count > PROGRESS_THRESHOLD {
            ui::error_line(format_args!("{progress} of {count} {done}"));
        }
    };
    let execution = dead_letters::execute(settings, plan, by, on_batch).await?;
    let Execution {
        settled,
        settled_meanwhile,
    } = execution;
    if settled_meanwhile > 0 {
        ui::error_line(format_args!(
            "{settled_meanwhile} were settled by somebody else meanwhile"
        ));
    }
    if !as_json {
        ui::line(format_args!("{settled} {done}, {refused} refused"));
    }
    Ok(execution)
}

/// Returns ` (2 to xact.downloads.pending)`, or nothing.
fn topics(plan: &SettlementPlan) -> String {
    let topics = plan.by_topic();
    if topics.is_empty() {
        return String::new();
    }
    let counts = topics.iter().map(|(topic, count)| format!("{count} to {topic}"));
    format!(" ({})", counts.collect::<Vec<_>>().join(", "))
}

fn print_table(plan: &SettlementPlan, is_shown: impl Fn(&PlannedEntry) -> bool) {
    let mut table = Table::new(&["entry", "", "trace id", "what"]);
    for entry in plan.entries.iter().filter(|entry| is_shown(entry)).take(MAX_ROWS) {
        let decision = if entry.is_planned() { "yes" } else { "refused" };
        table.add_row([
            entry.id.to_string(),
            decision.to_owned(),
            or_dash(entry.trace_id.as_deref().map(cell)),
            cell(&entry.detail),
        ]);
    }
    table.print();
    let shown = plan.entries.iter().filter(|entry| is_shown(entry)).count();
    if shown > MAX_ROWS {
        ui::line(format_args!("the first {MAX_ROWS} of {shown}: use --json for all"));
    }
}
