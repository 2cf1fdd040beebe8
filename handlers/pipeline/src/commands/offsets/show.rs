//! `offsets show`.

use clap::Args;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_operations::offsets::{self, Group};

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
pub(super) async fn run(settings: &Settings, arguments: &Show) -> CommandResult {
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
