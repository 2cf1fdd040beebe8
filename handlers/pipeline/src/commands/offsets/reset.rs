//! `offsets reset`.

use clap::Args;

use crate::arguments::Change;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_operations::offsets::reset::{self, ResetPlan, ResetRequest};

/// Arguments of `offsets reset`.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    request: ResetRequest,
    #[command(flatten)]
    change: Change,
}

/// Shows what would be done, and does it with --execute.
pub(super) async fn run(settings: &Settings, arguments: Reset) -> CommandResult {
    let Reset { request, change } = arguments;
    let progress = Progress::start("reading the positions of the group");
    let plan = reset::plan(settings, request).await?;
    drop(progress);
    if !change.output.json {
        print(&plan);
    }
    plan.state.require_no_members(settings)?;
    if change.execute {
        plan.execute(settings).await?;
    }
    change.print(&plan, "done")?;
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
