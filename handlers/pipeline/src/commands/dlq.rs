//! `dlq list|view|replay|resolve`.

mod list;
mod settle;
mod view;

use clap::Subcommand;

use crate::local_user::local_user;
use crate::outcome::CommandResult;
use list::List;
use settle::Settle;
use view::View;
use xact_config::{Environment, Settings};
use xact_operations::dead_letters::Settlement;

/// Commands on dead letters.
///
/// An entry is PARTITION:OFFSET, its position in the dead-letter topic. A resolved or replayed entry is marked by a
/// tombstone behind it; no consumer group's offset is moved.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters that wait to be settled
    List(List),
    /// Show everything about one entry; secrets are removed from URLs and texts
    View(View),
    /// Send the messages of dead letters again
    ///
    /// A task goes back to the pending topic with retry_count 0 and its replay_count increased by one. A message that
    /// could not be read goes back, byte for byte, to the topic it was read from: useful after an upgrade that can read it,
    /// otherwise it becomes a new dead letter. Each entry is marked when the broker has acknowledged its message. If the
    /// command is interrupted, run it again: replaying an entry twice adds no second row.
    ///
    /// Refused, with the reason: a task whose presigned URL has expired, whose attachment_url is not a URL, or whose event
    /// names no assignment (the source must send the event again), a truncated message, a foreign record. Settle those with
    /// `dlq resolve`. Exit 1 if any entry is refused.
    #[command(verbatim_doc_comment)]
    Replay(Settle),
    /// Mark dead letters as dealt with; nothing is sent
    Resolve(Settle),
}

/// Runs one of them.
pub(crate) async fn run(environment: &Environment, command: Dlq) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let by = local_user(environment);
    match command {
        Dlq::List(arguments) => list::run(settings, arguments).await,
        Dlq::View(arguments) => view::run(&settings, arguments).await,
        Dlq::Replay(arguments) => settle::run(&settings, Settlement::Replayed, &by, arguments).await,
        Dlq::Resolve(arguments) => settle::run(&settings, Settlement::Resolved, &by, arguments).await,
    }
}
