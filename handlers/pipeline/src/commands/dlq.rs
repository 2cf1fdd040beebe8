//! `dlq list|view|replay|resolve`.

mod arguments;
mod hex_dump;
mod list;
mod settle;
mod view;

pub(crate) use arguments::Dlq;

use crate::outcome::CommandResult;
use xact_config::{Environment, Settings};
use xact_operations::dead_letters::Settlement;

/// Runs one of them.
pub(crate) async fn run(environment: &Environment, command: Dlq) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    match command {
        Dlq::List(arguments) => list::run(settings, arguments).await,
        Dlq::View(arguments) => view::run(&settings, arguments).await,
        Dlq::Replay(arguments) => settle::run(&settings, Settlement::Replayed, arguments).await,
        Dlq::Resolve(arguments) => settle::run(&settings, Settlement::Resolved, arguments).await,
    }
}
