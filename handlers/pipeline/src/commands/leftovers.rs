//! `leftovers`: lists and deletes unfinished files of killed uploads.

use clap::Args;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::upkeep::leftover_lines;
use xact_config::{Environment, Settings};
use xact_operations::leftovers::{self, LeftoversRequest};

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

fn print(found: &leftovers::Leftovers) {
    leftover_lines(found).iter().for_each(ui::line);
    if !found.deleted && !found.files.is_empty() {
        ui::line("dry run: pass --execute to apply");
    }
}
