//! Moves the positions of a group.

use serde::Serialize;

use super::positions::{Group, Position, group};
use super::{OffsetsError, Target};
use crate::blocking::blocking;
use xact_config::Settings;
use xact_kafka::admin::GroupOffsets;

/// Which positions are moved, and where to.
#[derive(Debug, Clone)]
pub struct ResetRequest {
    /// The group.
    pub group: String,
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this partition.
    pub partition: Option<i32>,
    /// The target.
    pub to: Target,
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
    #[serde(skip)]
    state: Group,
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
pub async fn plan(settings: &Settings, request: ResetRequest) -> Result<ResetPlan, OffsetsError> {
    let group = group(settings, &request.group).await?;
    let positions = select(&group, &request)?;
    let client = GroupOffsets::new(settings.cluster_of(group.stage.row().consumes), &group.name)?;
    let target = request.to;
    let moves = blocking(move || target.resolve(&client, positions)).await?;
    let moves: Vec<Move> = moves
        .into_iter()
        .map(|(position, new)| Move { position, new })
        .collect();
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
    /// Refuses a group that has members, which must be stopped first.
    ///
    /// # Errors
    /// [`OffsetsError::HasMembers`] or [`OffsetsError::UnknownMembers`].
    pub fn require_no_members(&self, settings: &Settings) -> Result<(), OffsetsError> {
        self.state.require_no_members(settings)
    }

    /// Commits the new offsets.
    ///
    /// # Errors
    /// When the group has members, or the broker refuses.
    pub async fn execute(&self, settings: &Settings) -> Result<(), OffsetsError> {
        self.require_no_members(settings)?;
        let positions = self
            .moves
            .iter()
            .map(|step| ((step.position.topic.clone(), step.position.partition), step.new))
            .collect();
        self.state.commit(settings, positions).await
    }
}

/// Returns the positions that a request selects.
fn select(group: &Group, request: &ResetRequest) -> Result<Vec<Position>, OffsetsError> {
    let mut topics: Vec<String> = group.positions.iter().map(|position| position.topic.clone()).collect();
    topics.dedup();
    if topics.is_empty() {
        return Err(OffsetsError::NoTopics(group.name.clone()));
    }
    if let Some(topic) = &request.topic
        && !topics.contains(topic)
    {
        return Err(OffsetsError::UnknownTopic {
            group: group.name.clone(),
            topic: topic.clone(),
            known: topics,
        });
    }
    let is_selected = |position: &&Position| {
        request.topic.as_ref().is_none_or(|topic| position.topic == *topic)
            && request
                .partition
                .is_none_or(|partition| position.partition == partition)
    };
    let selected: Vec<Position> = group.positions.iter().filter(is_selected).cloned().collect();
    if selected.is_empty() {
        return Err(OffsetsError::UnknownPartition {
            partition: request.partition.unwrap_or_default(),
            topics,
        });
    }
    Ok(selected)
}
