//! `leftovers`: lists and deletes unfinished files of killed uploads.

use clap::Args;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::text::visible;
use xact_config::{Environment, Settings};
use xact_operations::leftovers::{self, Action};

/// Maximum number of paths in the text answer.
const MAX_PATHS: usize = 20;

/// Arguments of `leftovers`.
#[derive(Debug, Args)]
pub(crate) struct Leftovers {
    /// Keep younger files: an upload of a version before 0.2, or to a local lake, may still be writing them
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..))]
    older_than_hours: u64,
    /// Delete them; without it this is a dry run
    #[arg(long)]
    execute: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Lists the files, and deletes them with `--execute`.
pub(crate) async fn run(environment: &Environment, arguments: Leftovers) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let action = if arguments.execute {
        Action::Delete
    } else {
        Action::List
    };
    let found = leftovers::run(&settings, arguments.older_than_hours, action).await?;
    if arguments.json {
        ui::json(&found)?;
    } else {
        print(&found);
    }
    Ok(ExitStatus::Ok)
}

fn print(found: &leftovers::Leftovers) {
    for file in found.files.iter().take(MAX_PATHS) {
        ui::line(format_args!("{:>12}  {}", file.bytes, visible(&file.path)));
    }
    let count = found.files.len();
    if count > MAX_PATHS {
        ui::line(format_args!("and {} more; use --json for all", count - MAX_PATHS));
    }
    let plural = if count == 1 { "" } else { "s" };
    let done = if found.deleted { " deleted" } else { "" };
    ui::line(format_args!(
        "{}: {count} unfinished file{plural} older than {} h, {} bytes{done}",
        found.location, found.older_than_hours, found.bytes
    ));
    if let Some(cost) = &found.cost {
        ui::line(cost);
    }
    if !found.deleted && count > 0 {
        ui::line("dry run: pass --execute to apply");
    }
}
