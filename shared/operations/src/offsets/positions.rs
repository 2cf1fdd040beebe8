//! The position of each group: as the broker has it, and as the tables of its stage have it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::topology::Stage;
use xact_kafka::admin::{AdminError, GroupOffsets, GroupState, LagReader, Member, PartitionLag};
use xact_lake::{AttachmentRow, EventRow, FailedRow};
use xact_table_sink::Configured;

/// A consumer group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its stage.
    pub stage: Stage,
    /// Its name.
    pub name: String,
    /// Its state and its members; `None`: the broker does not report them.
    pub state: Option<GroupState>,
    /// Its partitions.
    pub positions: Vec<Position>,
}

/// The position of a group in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset; `None`: the group has committed nothing yet.
    pub committed: Option<i64>,
    /// The first offset of the partition.
    pub low: i64,
    /// The high watermark: one past the last record.
    pub high: i64,
    /// Records that the group has not finished.
    pub lag: u64,
    /// The lowest position that a table of the stage has: records before it are skipped when they are read again. It may be
    /// behind the committed offset, since a batch without rows does not move it.
    pub in_tables: Option<i64>,
}

impl Position {
    fn new(lag: PartitionLag, in_tables: Option<i64>) -> Self {
        Self {
            lag: lag.lag(),
            topic: lag.topic,
            partition: lag.partition,
            committed: lag.committed,
            low: lag.start,
            high: lag.end,
            in_tables,
        }
    }

    /// Returns topic and partition.
    pub(super) fn place(&self) -> (String, i32) {
        (self.topic.clone(), self.partition)
    }

    /// Returns the offset from which the group reads on. Expired records are skipped.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.committed.unwrap_or(self.low).max(self.low)
    }
}

/// The position of a group in a partition, with what is known about the group.
#[derive(Debug, Serialize)]
pub struct GroupPartition<'a> {
    /// The group.
    pub group: &'a str,
    /// Its stage.
    pub stage: &'static str,
    /// Its state; `None`: the broker does not report it.
    pub state: Option<&'a str>,
    /// `client_id` and `host` of its members; `None`: the broker does not report them.
    pub members: Option<Vec<Value>>,
    /// The position.
    #[serde(flatten)]
    pub position: &'a Position,
}

/// Reads all groups, or one.
///
/// # Errors
/// When there is no such group, or a broker or a table cannot be read.
pub async fn groups(settings: &Settings, group: Option<&str>) -> Result<Vec<Group>, OperationError> {
    let stages: Vec<Stage> = match group {
        Some(group) => vec![stage_of(settings, group)?],
        None => Stage::all().collect(),
    };
    let lags = read_lags(settings).await?;
    let mut groups = Vec::new();
    for stage in stages {
        groups.push(Group::read(settings, stage, &lags).await?);
    }
    Ok(groups)
}

/// Reads one group.
pub(super) async fn group(settings: &Settings, group: &str) -> Result<Group, OperationError> {
    let stage = stage_of(settings, group)?;
    Group::read(settings, stage, &read_lags(settings).await?).await
}

/// Returns the stage of a group.
fn stage_of(settings: &Settings, group: &str) -> Result<Stage, OperationError> {
    let found = Stage::all().find(|stage| settings.groups.of(*stage) == group);
    Ok(found.ok_or_else(|| {
        let known: Vec<String> = Stage::all().map(|stage| settings.groups.of(stage)).collect();
        format!(
            "there is no group {group:?}; the pipeline's groups are {}",
            known.join(", ")
        )
    })?)
}

async fn read_lags(settings: &Settings) -> Result<Vec<PartitionLag>, AdminError> {
    let settings = settings.clone();
    blocking(move || LagReader::new(&settings)?.read()).await
}

impl Group {
    async fn read(settings: &Settings, stage: Stage, lags: &[PartitionLag]) -> Result<Self, OperationError> {
        let name = settings.groups.of(stage);
        let client = GroupOffsets::new(settings.cluster_of(stage.row().consumes), &name)?;
        // Not every broker reports the members of a group; its positions are shown nevertheless.
        let state = blocking(move || client.state()).await.ok();
        let lags: Vec<PartitionLag> = lags.iter().filter(|lag| lag.stage == stage).cloned().collect();
        let in_tables = in_tables(settings, stage, &lags).await?;
        let positions = lags.into_iter().map(|lag| {
            let in_tables = in_tables.get(&app_id(&lag)).copied();
            Position::new(lag, in_tables)
        });
        Ok(Self {
            stage,
            positions: positions.collect(),
            name,
            state,
        })
    }

    /// Returns the members as text: client and host. The broker has both from the clients.
    fn members(&self) -> Vec<String> {
        let members = self.state.iter().flat_map(|state| &state.members);
        members
            .map(|member| format!("{} at {}", member.client_id, member.host))
            .collect()
    }

    /// Returns what an operator must know about the positions of the tables.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let tables = self.stage.row().tables.join(" and ");
        let mut notes = Vec::new();
        if self.positions.iter().any(|position| position.in_tables.is_some()) {
            notes.push(format!(
                "{}: {tables} keep the position \"in tables\" themselves; records before it are skipped when they are read again, so going back neither duplicates nor rewrites a row. To write them again, use a new table path and a new KAFKA_CONSUMER_GROUP_PREFIX",
                self.name
            ));
        }
        let is_ahead = |position: &&Position| position.in_tables > Some(position.high);
        if let Some(ahead) = self.positions.iter().find(is_ahead) {
            notes.push(format!(
                "{}: {tables} are ahead of {}[{}] ({} of {}): the topic was recreated, or the tables belong to another broker; the stage will not start",
                self.name,
                ahead.topic,
                ahead.partition,
                ahead.in_tables.unwrap_or_default(),
                ahead.high
            ));
        }
        notes
    }

    /// Refuses to move a group that has members, which must be stopped first.
    ///
    /// # Errors
    /// When the group has members, or the broker does not report them.
    pub fn require_no_members(&self, settings: &Settings) -> Result<(), OperationError> {
        let (group, stage, members) = (&self.name, self.stage, self.members());
        if self.state.is_none() {
            return refuse(format!(
                "the broker does not report whether group {group} has members, so its positions are not changed"
            ));
        }
        if members.is_empty() {
            return Ok(());
        }
        refuse(format!(
            "group {group} has {} members ({}): stop every {stage} worker first (a killed one is a member for another {} s), then run this again",
            members.len(),
            members.join(", "),
            settings.session_timeout.as_secs()
        ))
    }

    /// Commits positions for the group.
    pub(super) async fn commit(
        &self,
        settings: &Settings,
        positions: Vec<((String, i32), i64)>,
    ) -> Result<(), OperationError> {
        let client = GroupOffsets::new(settings.cluster_of(self.stage.row().consumes), &self.name)?;
        Ok(blocking(move || client.commit(&positions)).await?)
    }

    /// Returns one JSON object for each partition.
    #[must_use]
    pub fn partitions(&self) -> Vec<GroupPartition<'_>> {
        let state = self.state.as_ref();
        let member = |member: &Member| json!({"client_id": member.client_id, "host": member.host});
        let partition = |position| GroupPartition {
            group: &self.name,
            stage: self.stage.name(),
            state: state.map(|state| state.state.as_str()),
            members: state.map(|state| state.members.iter().map(member).collect()),
            position,
        };
        self.positions.iter().map(partition).collect()
    }
}

fn app_id(lag: &PartitionLag) -> AppId {
    AppId::new(&lag.group, &lag.topic, lag.partition)
}

/// Returns the lowest position that a table of the stage has, by partition.
async fn in_tables(
    settings: &Settings,
    stage: Stage,
    lags: &[PartitionLag],
) -> Result<BTreeMap<AppId, i64>, OperationError> {
    let app_ids: Vec<AppId> = lags.iter().map(app_id).collect();
    if !settings.delta_writes {
        return Ok(BTreeMap::new());
    }
    match stage {
        Stage::EventWriter => of_table::<EventRow>(settings, &app_ids).await,
        Stage::ResultProcessor => {
            let mut lowest = of_table::<FailedRow>(settings, &app_ids).await?;
            for (app_id, position) in of_table::<AttachmentRow>(settings, &app_ids).await? {
                let lowest = lowest.entry(app_id).or_insert(position);
                *lowest = position.min(*lowest);
            }
            Ok(lowest)
        }
        _ => Ok(BTreeMap::new()),
    }
}

async fn of_table<R: Configured>(
    settings: &Settings,
    app_ids: &[AppId],
) -> Result<BTreeMap<AppId, i64>, OperationError> {
    if R::path(settings).is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(xact_table_sink::table::<R>(settings)?.positions(app_ids).await?)
}
