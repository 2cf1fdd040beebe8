//! Moves the positions of a group.

use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::positions::{Group, Position, group};
use crate::blocking::blocking;
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_contracts::time;
use xact_kafka::admin::GroupOffsets;

/// Which positions are moved, and where to.
#[derive(Debug, Clone, Args)]
pub struct ResetRequest {
    /// The group
    #[arg(long, value_name = "G")]
    pub group: String,
    /// Only this topic
    #[arg(long, value_name = "T")]
    pub topic: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// earliest, latest, a time (2025-01-31T08:00:00Z: the first record written then or later), or an offset
    #[arg(long, value_name = "earliest|latest|TIME|OFFSET")]
    pub to: Target,
}

/// The target of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The first record of each partition.
    Earliest,
    /// The end of each partition.
    Latest,
    /// The first record that was written at this time or later.
    Time(Timestamp),
    /// This offset.
    Offset(i64),
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            // Digits are an offset, never Unix seconds.
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Self::Offset).map_err(|_| "the offset is too large")
            }
            // Other numbers are not times either.
            _ if text.parse::<f64>().is_ok() => Err("an offset is a whole number, 0 or greater"),
            _ => time::parse_text(text)
                .map(Self::Time)
                .ok_or("give earliest, latest, a time such as 2025-01-31T08:00:00Z, or an offset"),
        }
    }
}

/// What a reset would do.
#[derive(Debug, Clone, Serialize)]
pub struct ResetPlan {
    /// The group.
    pub group: String,
    /// Its stage.
    pub stage: &'static str,
    /// The positions with their new offsets.
    pub moves: Vec<Move>,
    /// Offsets that are read again.
    pub reread: i64,
    /// Offsets that are skipped without being read.
    pub skipped: i64,
    /// What an operator must know about the positions of the tables.
    pub notes: Vec<String>,
    /// The group as it was found.
    #[serde(skip)]
    pub state: Group,
}

/// A position with its new offset.
#[derive(Debug, Clone, Serialize)]
pub struct Move {
    /// The position.
    #[serde(flatten)]
    pub position: Position,
    /// The new offset.
    pub new: i64,
}

/// Returns what a reset would do.
///
/// # Errors
/// When there is no such group, topic, partition or offset, or a broker or a table cannot be read.
pub async fn plan(settings: &Settings, request: ResetRequest) -> Result<ResetPlan, OperationError> {
    let group = group(settings, &request.group).await?;
    let positions = select(&group, &request)?;
    let client = GroupOffsets::new(settings.cluster_of(group.stage.row().consumes), &group.name)?;
    let moves = blocking(move || moves(&client, positions, request.to)).await?;
    let back = |step: &Move| step.position.next() - step.new;
    let reread = moves.iter().map(|step| back(step).max(0)).sum();
    Ok(ResetPlan {
        group: group.name.clone(),
        stage: group.stage.name(),
        reread,
        skipped: moves.iter().map(|step| (-back(step)).max(0)).sum(),
        moves,
        notes: if reread > 0 { group.notes() } else { Vec::new() },
        state: group,
    })
}

impl ResetPlan {
    /// Commits the new offsets.
    ///
    /// # Errors
    /// When the group has members, or the broker refuses.
    pub async fn execute(&self, settings: &Settings) -> Result<(), OperationError> {
        self.state.require_no_members(settings)?;
        let positions = self
            .moves
            .iter()
            .map(|step| (step.position.place(), step.new))
            .collect();
        self.state.commit(settings, positions).await
    }
}

/// Returns the positions that a request selects.
fn select(group: &Group, request: &ResetRequest) -> Result<Vec<Position>, OperationError> {
    let name = &group.name;
    let mut topics: Vec<&str> = group.positions.iter().map(|position| &*position.topic).collect();
    topics.dedup();
    if topics.is_empty() {
        return refuse(format!(
            "none of the topics of group {name} exists: create them (`topics create`), or check the topic names"
        ));
    }
    if let Some(topic) = &request.topic
        && !topics.contains(&topic.as_str())
    {
        return refuse(format!(
            "group {name} does not read {topic:?}; it reads {}",
            topics.join(", ")
        ));
    }
    let is_selected = |position: &&Position| {
        request.topic.as_ref().is_none_or(|topic| position.topic == *topic)
            && request
                .partition
                .is_none_or(|partition| position.partition == partition)
    };
    let selected: Vec<Position> = group.positions.iter().filter(is_selected).cloned().collect();
    if selected.is_empty() {
        let partition = request.partition.unwrap_or_default();
        return refuse(format!("there is no partition {partition} in {}", topics.join(", ")));
    }
    Ok(selected)
}

/// Returns each position with its new offset. Blocks.
fn moves(client: &GroupOffsets, positions: Vec<Position>, target: Target) -> Result<Vec<Move>, OperationError> {
    let new: Vec<i64> = match target {
        Target::Earliest => positions.iter().map(|position| position.low).collect(),
        Target::Latest => positions.iter().map(|position| position.high).collect(),
        Target::Offset(offset) => {
            let is_outside = |position: &&Position| !(position.low..=position.high).contains(&offset);
            if let Some(outside) = positions.iter().find(is_outside) {
                return refuse(format!(
                    "offset {offset} is not in {}[{}], which holds {} to {}: choose another, or one partition with --topic and --partition",
                    outside.topic, outside.partition, outside.low, outside.high
                ));
            }
            vec![offset; positions.len()]
        }
        Target::Time(time) => {
            if time > Timestamp::now() {
                let time = time::format(time);
                return refuse(format!(
                    "{time} is in the future: `--to latest` skips all existing records"
                ));
            }
            let partitions: Vec<(String, i32)> = positions.iter().map(Position::place).collect();
            let found = client.at_time(&partitions, time)?.into_iter().zip(&positions);
            // `None`: nothing was written since, so the target is the end.
            found
                .map(|(offset, position)| offset.unwrap_or(position.high))
                .collect()
        }
    };
    let moves = positions.into_iter().zip(new);
    Ok(moves.map(|(position, new)| Move { position, new }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_offset_and_everything_else_a_word_or_a_time() {
        let noon = Target::Time("2024-12-31T12:00:00Z".parse().unwrap());
        for (text, target) in [
            ("earliest", Target::Earliest),
            ("latest", Target::Latest),
            ("1735646400", Target::Offset(1_735_646_400)),
            ("2024-12-31T12:00:00Z", noon),
            ("2024-12-31 12:00", noon),
        ] {
            assert_eq!(text.parse(), Ok(target));
        }
        for bad in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
