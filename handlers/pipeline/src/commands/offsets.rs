//! `offsets show|reset|skip`: the positions of the groups.

mod reset;
mod skip;

use clap::{Args, Subcommand};

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::{self, Table, or_dash};
use reset::Reset;
use skip::Skip;
use xact_config::{Environment, Settings};
use xact_operations::offsets::{self, Group};

/// Commands on the positions of consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Offsets {
    /// Show the position of each group: committed offset, bounds of the partition, lag, members, and the positions of the tables
    Show(Show),
    /// Move the position of a group; without --execute this is a dry run
    ///
    /// Refused while the group has members: stop its workers first. The tables keep positions of their own: after a reset
    /// backwards, event-writer and result-processor read old records again and skip those that the tables have seen, so
    /// that no row is duplicated or rewritten.
    Reset(Reset),
    /// Skip records that a group cannot read, and record them as dead letters; without --execute this is a dry run
    ///
    /// Refused while the group has members: stop its workers first.
    Skip(Skip),
}

/// Carries out one of them.
pub(crate) async fn run(environment: &Environment, action: Offsets) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    match action {
        Offsets::Show(arguments) => show(&settings, &arguments).await,
        Offsets::Reset(arguments) => reset::run(&settings, arguments).await,
        Offsets::Skip(arguments) => skip::run(&settings, arguments).await,
    }
}

/// Which groups.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Only this group
    #[arg(long, value_name = "G")]
    group: Option<String>,
    /// JSON lines: one object a line for every partition
    #[arg(long)]
    json: bool,
}

/// Prints the positions.
async fn show(settings: &Settings, arguments: &Show) -> CommandResult {
    let progress = Progress::start("reading the positions of the groups");
    let groups = offsets::groups(settings, arguments.group.as_deref()).await?;
    drop(progress);
    if arguments.json {
        for partition in groups.iter().flat_map(Group::partitions) {
            ui::json_line(&partition)?;
        }
    } else {
        print(&groups);
    }
    Ok(ExitStatus::Ok)
}

fn print(groups: &[Group]) {
    let mut table = Table::new(&[
        "group",
        "state",
        "topic",
        "partition",
        "committed",
        "low",
        "high",
        "lag",
        "in tables",
        "members",
    ]);
    for group in groups {
        let (state, members) = match &group.state {
            // The embedded broker does not report them.
            None => ("unknown", "?".to_owned()),
            Some(state) => (state.state.as_str(), state.members.len().to_string()),
        };
        for position in &group.positions {
            table.add_row([
                group.name.clone(),
                state.to_owned(),
                position.topic.clone(),
                position.partition.to_string(),
                or_dash(position.committed),
                position.low.to_string(),
                position.high.to_string(),
                position.lag.to_string(),
                or_dash(position.in_tables),
                members.clone(),
            ]);
        }
    }
    table.print();
    for note in groups.iter().flat_map(Group::notes) {
        ui::note(note);
    }
}
