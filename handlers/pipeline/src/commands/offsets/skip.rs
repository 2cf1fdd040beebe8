//! `offsets skip`.

use clap::Args;
use jiff::Timestamp;

use crate::arguments::Change;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::text::cell;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_contracts::time;
use xact_operations::offsets::skip::{self, SkipPlan, SkipRequest, SkippedPart};

/// Maximum number of rows of the table.
const MAX_ROWS: usize = 100;

/// Arguments of `offsets skip`.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    request: SkipRequest,
    #[command(flatten)]
    change: Change,
}

/// Shows what would be skipped, and skips it with --execute.
pub(super) async fn run(settings: &Settings, arguments: Skip) -> CommandResult {
    let Skip { request, change } = arguments;
    let progress = Progress::start("reading the records");
    let skip = skip::plan(settings, request).await?;
    drop(progress);
    let plan = match skip {
        skip::Skip::Planned(plan) => plan,
        skip::Skip::Done(done) => {
            change.output.print(&done, |done| {
                ui::line(format_args!(
                    "nothing to skip: group {} is already at offset {} of {}[{}], which is after {}",
                    done.group, done.committed, done.topic, done.partition, done.offset
                ));
            })?;
            return Ok(ExitStatus::Ok);
        }
    };
    if !change.output.json {
        print(&plan);
    }
    plan.state.require_no_members(settings)?;
    let written = if change.execute {
        plan.execute(settings, Timestamp::now()).await?
    } else {
        0
    };
    let done = format!("done: {written} dead letters written, the position is {}", plan.to);
    change.print(&plan, &done)?;
    Ok(ExitStatus::Ok)
}

fn print(plan: &SkipPlan) {
    let mut table = Table::new(&["offset", "written", "key", "bytes", "content"]);
    table.add_rows(plan.parts.iter().take(MAX_ROWS).map(row));
    table.print();
    if plan.parts.len() > MAX_ROWS {
        ui::line(format_args!("and {} more", plan.parts.len() - MAX_ROWS));
    }
    ui::line(format_args!(
        "group {}: the position in {}[{}] goes from {} to {}",
        plan.group, plan.topic, plan.partition, plan.from, plan.to
    ));
    for note in &plan.notes {
        ui::note(note);
    }
}

fn row(part: &SkippedPart) -> [String; 5] {
    let (offsets, content) = match &part.unreadable {
        None => (part.first.to_string(), "record".to_owned()),
        Some(reason) => (
            format!("{} to {}", part.first, part.last),
            format!("unreadable: {}", cell(reason)),
        ),
    };
    [
        offsets,
        or_dash(part.written.map(time::format)),
        or_dash(part.key.as_deref().map(cell)),
        or_dash(part.bytes),
        content,
    ]
}
