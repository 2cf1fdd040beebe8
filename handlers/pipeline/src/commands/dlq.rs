//! `dlq list|view|replay|resolve`: dead letters, and what is done with them.

mod arguments;
mod entries;
mod entry;
mod list;
mod replay_plan;
mod settle;
mod view;

pub(crate) use arguments::Dlq;
pub(crate) use entries::Entries;

use crate::outcome::CommandResult;
use entry::Action;
use xact_config::{Environment, Settings};

/// Carries out one of them.
pub(crate) async fn run(environment: &Environment, action: Dlq) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    match action {
        Dlq::List {
            filter,
            all,
            limit,
            json,
        } => tokio::task::spawn_blocking(move || list::run(&settings, &filter, all, limit, json)).await?,
        Dlq::View {
            entry,
            show_secrets,
            raw,
            json,
        } => {
            let form = match (raw, json) {
                (true, _) => view::Form::Raw,
                (false, true) => view::Form::Json,
                (false, false) => view::Form::Text,
            };
            tokio::task::spawn_blocking(move || view::run(&settings, entry, form, show_secrets)).await?
        }
        Dlq::Replay(what) => settle::run(settings, Action::Replayed, what).await,
        Dlq::Resolve(what) => settle::run(settings, Action::Resolved, what).await,
    }
}
