//! `leftovers`: lists and deletes unfinished files of killed uploads.

use clap::Args;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::visible;
use crate::ui::{self, counted};
use xact_config::{Environment, Settings};
use xact_operations::leftovers::{self, LeftoversRequest};

/// Maximum number of paths in the text answer.
const MAX_PATHS: usize = 20;

/// Arguments of `leftovers`.
#[derive(Debug, Args)]
pub(crate) struct Leftovers {
    #[command(flatten)]
    request: LeftoversRequest,
    #[command(flatten)]
    output: Output,
}

/// Lists the files, and deletes them with `--execute`.
pub(crate) async fn run(environment: &Environment, arguments: Leftovers) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let found = leftovers::run(&settings, arguments.request).await?;
    arguments.output.print(&found, print)?;
    Ok(ExitStatus::Ok)
}

pub(super) fn print(found: &leftovers::Leftovers) {
    for file in found.files.iter().take(MAX_PATHS) {
        ui::line(format_args!("{:>12}  {}", file.bytes, visible(&file.path)));
    }
    let count = found.files.len();
    if count > MAX_PATHS {
        ui::line(format_args!("and {} more; use --json for all", count - MAX_PATHS));
    }
    let files = counted(count, "unfinished file");
    let done = if found.deleted { " deleted" } else { "" };
    ui::line(format_args!(
        "{}: {files} older than {} h, {} bytes{done}",
        found.location, found.older_than_hours, found.bytes
    ));
    if let Some(cost) = &found.cost {
        ui::line(cost);
    }
    if !found.deleted && count > 0 {
        ui::line("dry run: pass --execute to apply");
    }
}
