//! How far a group has read: by the broker, and by the tables that its stage writes.

use std::collections::BTreeMap;

use super::Error;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::topology::Stage;
use xact_kafka::admin::{GroupOffsets, GroupState};
use xact_kafka::admin::{LagReader, PartitionLag};
use xact_lake::{AttachmentRow, EventRow, FailedRow};
use xact_table_sink::Configured;

/// One group.
pub(super) struct Group {
    pub(super) stage: Stage,
    pub(super) name: String,
    /// `None`: the broker does not tell.
    pub(super) state: Option<GroupState>,
    pub(super) positions: Vec<Position>,
}

/// One partition of a group.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) lag: PartitionLag,
    /// The lowest position of the stage's tables that have one: records before it are skipped when they are read again. It
    /// may lag behind the committed offset, since a batch without rows does not move it.
    pub(super) in_tables: Option<i64>,
}

impl Group {
    /// Reads the groups of these stages.
    pub(super) async fn read(settings: &Settings, stages: &[Stage]) -> Result<Vec<Self>, Error> {
        let lags = {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || LagReader::new(&settings)?.read()).await??
        };
        let mut groups = Vec::new();
        for &stage in stages {
            let name = settings.groups.of(stage);
            let client = GroupOffsets::new(settings.cluster_of(stage.row().consumes), &name)?;
            // Not every broker tells who is in a group; its positions are worth showing all the same.
            let state = tokio::task::spawn_blocking(move || client.state()).await?.ok();
            let lags: Vec<PartitionLag> = lags.iter().filter(|lag| lag.stage == stage).cloned().collect();
            let in_tables = in_tables(settings, stage, &lags).await?;
            let positions = lags.into_iter().map(|lag| Position {
                in_tables: in_tables.get(&app_id(&lag)).copied(),
                lag,
            });
            groups.push(Self {
                stage,
                positions: positions.collect(),
                name,
                state,
            });
        }
        Ok(groups)
    }

    /// What an operator must know of the tables' positions.
    pub(super) fn notes(&self) -> Vec<String> {
        let tables = self.stage.row().tables.join(" and ");
        let mut notes = Vec::new();
        if self.positions.iter().any(|position| position.in_tables.is_some()) {
            notes.push(format!(
                "{}: {tables} keep the position \"in tables\" themselves; records before it are skipped when they are read again, so going back neither doubles nor rewrites a row. To write them anew, use a new table path and a new KAFKA_CONSUMER_GROUP_PREFIX",
                self.name
            ));
        }
        let ahead = self
            .positions
            .iter()
            .find(|position| position.in_tables > Some(position.lag.end));
        if let Some(Position { lag, in_tables }) = ahead {
            notes.push(format!(
                "{}: {tables} are ahead of {}[{}] ({} of {}): the topic was recreated, or the tables are another broker's; the stage will not start",
                self.name,
                lag.topic,
                lag.partition,
                in_tables.unwrap_or_default(),
                lag.end
            ));
        }
        notes
    }
}

fn app_id(lag: &PartitionLag) -> AppId {
    AppId::new(&lag.group, &lag.topic, lag.partition)
}

/// The lowest position of the stage's tables that have one, by app id; empty without tables.
async fn in_tables(settings: &Settings, stage: Stage, lags: &[PartitionLag]) -> Result<BTreeMap<AppId, i64>, Error> {
    let app_ids: Vec<AppId> = lags.iter().map(app_id).collect();
    if !settings.delta_writes || stage.row().tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    match stage {
        Stage::EventWriter => of_table::<EventRow>(settings, &app_ids).await,
        Stage::ResultProcessor => {
            let mut both = of_table::<FailedRow>(settings, &app_ids).await?;
            for (app_id, position) in of_table::<AttachmentRow>(settings, &app_ids).await? {
                both.entry(app_id)
                    .and_modify(|lowest| *lowest = (*lowest).min(position))
                    .or_insert(position);
            }
            Ok(both)
        }
        _ => Ok(BTreeMap::new()),
    }
}

async fn of_table<R: Configured>(settings: &Settings, app_ids: &[AppId]) -> Result<BTreeMap<AppId, i64>, Error> {
    if R::path(settings).is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(xact_table_sink::table::<R>(settings)?.positions(app_ids).await?)
}
