//! `offsets show|reset|skip`: where each group stands, and putting one elsewhere.

mod positions;
mod skip;
mod target;
mod unread;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::text::cell;
use positions::{Group, Position};
use target::Target;
use xact_config::{Environment, Settings};
use xact_contracts::topology::Stage;
use xact_kafka::admin::{GroupOffsets, GroupState};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Commands on the positions of consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Offsets {
    /// Show where each group stands: committed offset, what its topics hold, lag, members, and the tables' own positions
    Show {
        /// This group alone
        #[arg(long, value_name = "G")]
        group: Option<String>,
        /// JSON lines: one object a line for every partition
        #[arg(long)]
        json: bool,
    },
    /// Put a group elsewhere; without --execute it only shows what would be done
    ///
    /// Refused while the group has members: stop its workers first. The tables keep positions of their own: after a reset
    /// backwards, event-writer and result-processor read old records again and skip those that the tables have seen, so
    /// that no row is doubled or rewritten.
    Reset(Reset),
    /// Pass over records that a group cannot read, and record them as dead letters; without --execute it only shows them
    ///
    /// Refused while the group has members: stop its workers first.
    Skip(skip::Skip),
}

/// Which positions, and where to.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The group
    #[arg(long, value_name = "G")]
    group: String,
    /// Of this topic alone
    #[arg(long, value_name = "T")]
    topic: Option<String>,
    /// Of this partition alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// earliest, latest, a time (2025-01-31T08:00:00Z: the first record written then or later), or an offset
    #[arg(long, value_name = "earliest|latest|TIME|OFFSET")]
    to: Target,
    /// Do it
    #[arg(long, visible_alias = "yes")]
    execute: bool,
}

/// Carries out one of them.
pub(crate) async fn run(environment: &Environment, action: Offsets) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    match action {
        Offsets::Show { group, json } => show(&settings, group.as_deref(), json).await,
        Offsets::Reset(reset) => put(&settings, reset).await,
        Offsets::Skip(skip) => skip::run(&settings, skip).await,
    }
}

/// The stage of a group's name.
fn stage_of(settings: &Settings, group: &str) -> Result<Stage, String> {
    let found = Stage::all().find(|stage| settings.groups.of(*stage) == group);
    found.ok_or_else(|| {
        let names: Vec<String> = Stage::all().map(|stage| settings.groups.of(stage)).collect();
        format!(
            "there is no group {group:?}; the pipeline's groups are {}",
            names.join(", ")
        )
    })
}

#[allow(clippy::print_stdout)]
async fn show(settings: &Settings, group: Option<&str>, as_json: bool) -> CommandResult {
    let stages: Vec<Stage> = match group {
        Some(group) => vec![stage_of(settings, group)?],
        None => Stage::all().collect(),
    };
    let groups = Group::read(settings, &stages).await?;
    let mut shown = Table::new(&[
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
    for group in &groups {
        let (state, members) = words(group.state.as_ref());
        for position in &group.positions {
            let lag = &position.lag;
            if as_json {
                println!("{}", line_of(group, position));
                continue;
            }
            shown.add_row([
                group.name.clone(),
                state.clone(),
                lag.topic.clone(),
                lag.partition.to_string(),
                or_dash(lag.committed),
                lag.start.to_string(),
                lag.end.to_string(),
                lag.lag().to_string(),
                or_dash(position.in_tables),
                members.clone(),
            ]);
        }
    }
    if !as_json {
        println!("{shown}");
        for note in groups.iter().flat_map(Group::notes) {
            println!("note: {note}");
        }
    }
    Ok(ExitStatus::Ok)
}

fn or_dash(offset: Option<i64>) -> String {
    offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
}

/// State and members in words; the embedded broker tells neither.
fn words(state: Option<&GroupState>) -> (String, String) {
    match state {
        None => ("unknown".to_owned(), "?".to_owned()),
        Some(state) => (state.state.clone(), state.members.len().to_string()),
    }
}

fn line_of(group: &Group, position: &Position) -> serde_json::Value {
    let lag = &position.lag;
    json!({
        "group": group.name, "stage": group.stage.name(), "state": group.state.as_ref().map(|state| &state.state),
        "members": group.state.as_ref().map(|state| {
            let members = state.members.iter();
            members.map(|member| json!({"client_id": member.client_id, "host": member.host})).collect::<Vec<_>>()
        }),
        "topic": lag.topic, "partition": lag.partition, "committed": lag.committed, "low": lag.start, "high": lag.end,
        "lag": lag.lag(), "in_tables": position.in_tables,
    })
}

#[allow(clippy::print_stdout)]
async fn put(settings: &Settings, reset: Reset) -> CommandResult {
    let stage = stage_of(settings, &reset.group)?;
    let group = Group::read(settings, &[stage])
        .await?
        .pop()
        .ok_or("the group's positions could not be read")?;
    let chosen = chosen(&group, &reset)?;
    let client = GroupOffsets::new(settings.cluster_of(stage.row().consumes), &group.name)?;
    // The client waits for the broker without giving up its thread.
    let target = reset.to;
    let (client, moves) = tokio::task::spawn_blocking(move || {
        let moves = target.moves(&client, chosen)?;
        Ok::<_, Error>((client, moves))
    })
    .await??;

    let mut shown = Table::new(&["topic", "partition", "committed", "new", "low", "high", "in tables"]);
    let (mut again, mut skipped) = (0, 0);
    for (position, new) in &moves {
        let lag = &position.lag;
        let from = lag.committed.unwrap_or(lag.start).max(lag.start);
        again += (from - new).max(0);
        skipped += (new - from).max(0);
        shown.add_row([
            lag.topic.clone(),
            lag.partition.to_string(),
            or_dash(lag.committed),
            new.to_string(),
            lag.start.to_string(),
            lag.end.to_string(),
            or_dash(position.in_tables),
        ]);
    }
    println!("{shown}");
    println!(
        "group {}: {again} offsets to be read again, {skipped} to be skipped without being read",
        group.name
    );
    if again > 0 {
        for note in group.notes() {
            println!("note: {note}");
        }
    }
    if skipped > 0 {
        println!(
            "note: what is skipped is lost for this group until it is reset again; `reconcile` finds what is missing"
        );
    }
    refuse_members(&group, settings)?;
    if !reset.execute {
        println!("nothing was done: --execute does it");
        return Ok(ExitStatus::Ok);
    }
    let positions: Vec<_> = moves
        .into_iter()
        .map(|(position, new)| ((position.lag.topic, position.lag.partition), new))
        .collect();
    tokio::task::spawn_blocking(move || client.commit(&positions)).await??;
    println!("done");
    Ok(ExitStatus::Ok)
}

/// The partitions that are asked for.
fn chosen(group: &Group, reset: &Reset) -> Result<Vec<Position>, Error> {
    let topics: Vec<&str> = {
        let mut topics: Vec<&str> = group
            .positions
            .iter()
            .map(|position| position.lag.topic.as_str())
            .collect();
        topics.dedup();
        topics
    };
    if topics.is_empty() {
        return Err(format!(
            "none of the topics of group {} is there: create them (`topics create`), or check the topic names",
            group.name
        )
        .into());
    }
    if let Some(topic) = reset.topic.as_deref().filter(|topic| !topics.contains(topic)) {
        return Err(format!(
            "group {} does not read {topic:?}; it reads {}",
            group.name,
            topics.join(", ")
        )
        .into());
    }
    let is = |position: &&Position| {
        reset.topic.as_ref().is_none_or(|topic| position.lag.topic == *topic)
            && reset
                .partition
                .is_none_or(|partition| position.lag.partition == partition)
    };
    let chosen: Vec<Position> = group.positions.iter().filter(is).cloned().collect();
    if chosen.is_empty() {
        let partition = reset.partition.unwrap_or_default();
        return Err(format!("there is no partition {partition} in {}", topics.join(", ")).into());
    }
    Ok(chosen)
}

fn refuse_members(group: &Group, settings: &Settings) -> Result<(), Error> {
    let stage = group.stage.name();
    match &group.state {
        None => Err(format!(
            "the broker does not tell whether group {} has members, so its positions are not touched",
            group.name
        )
        .into()),
        Some(state) if !state.members.is_empty() => {
            let members: Vec<String> = state
                .members
                .iter()
                .map(|member| cell(&format!("{} at {}", member.client_id, member.host)))
                .collect();
            Err(format!(
                "group {} has {} members ({}): stop every {stage} worker first (a killed one is a member for another {} s), then run this again",
                group.name,
                members.len(),
                members.join(", "),
                settings.session_timeout.as_secs()
            )
            .into())
        }
        Some(_) => Ok(()),
    }
}
