//! `offsets skip`.

use clap::Args;
use jiff::Timestamp;

use crate::arguments::{Execute, Output};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::text::cell;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_contracts::time;
use xact_operations::offsets::skip::{self, SkipPlan, SkipRequest, SkippedPart, Until};

/// Maximum number of rows of the table.
const MAX_ROWS: usize = 100;

/// Which records, and why.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The group
    #[arg(long, value_name = "G")]
    group: String,
    /// The topic
    #[arg(long, value_name = "T")]
    topic: String,
    /// The partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// The committed offset of the group (`offsets show`). A repeated command skips nothing else
    #[arg(long, value_name = "O", value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
    /// Number of offsets to skip; without --count and --to: that record, or up to the next readable one
    #[arg(long, value_name = "N", conflicts_with = "to", value_parser = clap::value_parser!(i64).range(1..))]
    count: Option<i64>,
    /// Skip up to this offset, which is read next
    #[arg(long, value_name = "OFFSET")]
    to: Option<i64>,
    /// Why, for the dead letters
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    execute: Execute,
    #[command(flatten)]
    output: Output,
}

/// Shows what would be skipped, and skips it with --execute.
pub(super) async fn run(settings: &Settings, arguments: Skip) -> CommandResult {
    let request = SkipRequest {
        until: match (arguments.count, arguments.to) {
            (Some(count), _) => Until::Offset(arguments.offset.saturating_add(count)),
            (None, Some(to)) => Until::Offset(to),
            (None, None) => Until::Next,
        },
        group: arguments.group,
        topic: arguments.topic,
        partition: arguments.partition,
        offset: arguments.offset,
        reason: arguments.reason,
    };
    let progress = Progress::start("reading the records");
    let skip = skip::plan(settings, request).await?;
    drop(progress);
    let plan = match skip {
        skip::Skip::Planned(plan) => plan,
        skip::Skip::Done(done) => {
            arguments.output.print(&done, |done| {
                ui::line(format_args!(
                    "nothing to skip: group {} is already at offset {} of {}[{}], which is after {}",
                    done.group, done.committed, done.topic, done.partition, done.offset
                ));
            })?;
            return Ok(ExitStatus::Ok);
        }
    };
    if !arguments.output.json {
        print(&plan);
    }
    plan.require_no_members(settings)?;
    let is_executed = arguments.execute.is_given();
    let written = if is_executed {
        plan.execute(settings, Timestamp::now()).await?
    } else {
        0
    };
    if arguments.output.json {
        arguments.execute.print_json(&plan)?;
    } else if is_executed {
        let to = plan.to;
        ui::line(format_args!(
            "done: {written} dead letters written, the position is {to}"
        ));
    } else {
        ui::line(ui::DRY_RUN);
    }
    Ok(ExitStatus::Ok)
}

fn print(plan: &SkipPlan) {
    let mut table = Table::new(&["offset", "written", "key", "bytes", "content"]);
    for part in plan.parts.iter().take(MAX_ROWS) {
        table.add_row([
            offsets(part),
            or_dash(part.written.map(time::format)),
            or_dash(part.key.as_deref().map(cell)),
            or_dash(part.bytes),
            part.unreadable
                .as_deref()
                .map_or_else(|| "record".to_owned(), |reason| format!("unreadable: {}", cell(reason))),
        ]);
    }
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

fn offsets(part: &SkippedPart) -> String {
    match &part.unreadable {
        None => part.first.to_string(),
        Some(_) => format!("{} to {}", part.first, part.last),
    }
}
