//! `offsets reset`.

use clap::Args;

use crate::arguments::{Execute, Output};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_operations::offsets::Target;
use xact_operations::offsets::reset::{self, ResetPlan, ResetRequest};

/// Which positions, and where to.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The group
    #[arg(long, value_name = "G")]
    group: String,
    /// Only this topic
    #[arg(long, value_name = "T")]
    topic: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// earliest, latest, a time (2025-01-31T08:00:00Z: the first record written then or later), or an offset
    #[arg(long, value_name = "earliest|latest|TIME|OFFSET")]
    to: Target,
    #[command(flatten)]
    execute: Execute,
    #[command(flatten)]
    output: Output,
}

/// Shows what would be done, and does it with --execute.
pub(super) async fn run(settings: &Settings, arguments: Reset) -> CommandResult {
    let request = ResetRequest {
        group: arguments.group,
        topic: arguments.topic,
        partition: arguments.partition,
        to: arguments.to,
    };
    let progress = Progress::start("reading the positions of the group");
    let plan = reset::plan(settings, request).await?;
    drop(progress);
    if !arguments.output.json {
        print(&plan);
    }
    plan.require_no_members(settings)?;
    let is_executed = arguments.execute.is_given();
    if is_executed {
        plan.execute(settings).await?;
    }
    if arguments.output.json {
        arguments.execute.print_json(&plan)?;
    } else {
        ui::line(if is_executed { "done" } else { ui::DRY_RUN });
    }
    Ok(ExitStatus::Ok)
}

fn print(plan: &ResetPlan) {
    let mut table = Table::new(&["topic", "partition", "committed", "new", "low", "high", "in tables"]);
    for step in &plan.moves {
        let position = &step.position;
        table.add_row([
            position.topic.clone(),
            position.partition.to_string(),
            or_dash(position.committed),
            step.new.to_string(),
            position.low.to_string(),
            position.high.to_string(),
            or_dash(position.in_tables),
        ]);
    }
    table.print();
    ui::line(format_args!(
        "group {}: {} offsets to be read again, {} to be skipped without being read",
        plan.group, plan.reread, plan.skipped
    ));
    for note in &plan.notes {
        ui::note(note);
    }
    if plan.skipped > 0 {
        ui::note("skipped records are lost for this group until it is reset again; `reconcile` finds what is missing");
    }
}
