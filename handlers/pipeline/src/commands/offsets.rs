//! `offsets show|reset|skip`: the positions of the groups.

mod reset;
mod show;
mod skip;

use clap::Subcommand;

use crate::outcome::CommandResult;
use reset::Reset;
use show::Show;
use skip::Skip;
use xact_config::{Environment, Settings};

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
        Offsets::Show(arguments) => show::run(&settings, &arguments).await,
        Offsets::Reset(arguments) => reset::run(&settings, arguments).await,
        Offsets::Skip(arguments) => skip::run(&settings, arguments).await,
    }
}
