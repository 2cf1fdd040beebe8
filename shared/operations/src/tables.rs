//! Maintenance of the Delta tables, safe while handlers write: state, optimize, vacuum, checkpoint.

mod answer;
mod error;
mod state;

pub use answer::{Checkpointed, Optimized, TableAnswer, TableOutcome, VacuumReport};
pub use error::TablesError;
pub use state::TableState;

use std::time::Duration;

use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::topology::{Stage, TopicRole};
use xact_lake::{AttachmentRow, EventRow, FailedRow, Table, Vacuum};
use xact_table_sink::{Configured, table};

/// Partitions per topic whose positions are asked for: more than the default, because partitions can be added.
const MAX_PARTITIONS: i32 = 64;

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableName {
    /// `xact_events`.
    Events,
    /// `xact_attachments`.
    Attachments,
    /// `xact_attachments_failed`.
    Failed,
}

impl TableName {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Events, Self::Attachments, Self::Failed];
}

/// What to do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    /// Read its state.
    Info,
    /// Rewrite small files as larger ones.
    Optimize {
        /// Size of the files to write.
        target_bytes: u64,
    },
    /// Find files that no version within the retention uses.
    Vacuum(VacuumOptions),
    /// Write a checkpoint.
    Checkpoint(OldLogEntries),
}

/// Which files a vacuum finds, and whether it deletes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VacuumOptions {
    /// Younger files are never deleted.
    pub retain_hours: u64,
    /// Whether a retention of less than a week is allowed.
    pub short_retention: ShortRetention,
    /// Whether the files are deleted.
    pub mode: VacuumMode,
}

/// Whether a retention of less than a week is allowed: older versions, slow readers and slow writers lose their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortRetention {
    /// It is an error.
    Refuse,
    /// It is allowed.
    Allow,
}

/// Whether a vacuum deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VacuumMode {
    /// It lists the files.
    DryRun,
    /// It deletes the files.
    Delete,
}

/// What happens to log entries before a new checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldLogEntries {
    /// They stay.
    Keep,
    /// Those older than the table's `delta.logRetentionDuration` (30 days) are deleted.
    Delete,
}

/// Does one thing with one table.
///
/// # Errors
/// When the settings write no tables, or the table cannot be opened, read or written.
pub async fn maintain(
    settings: &Settings,
    name: TableName,
    maintenance: Maintenance,
) -> Result<TableAnswer, TablesError> {
    if !settings.delta_writes {
        return Err(TablesError::Disabled);
    }
    match name {
        TableName::Events => of::<EventRow>(settings, TopicRole::Raw, maintenance).await,
        TableName::Attachments => of::<AttachmentRow>(settings, TopicRole::Results, maintenance).await,
        TableName::Failed => of::<FailedRow>(settings, TopicRole::Results, maintenance).await,
    }
}

async fn of<R: Configured>(
    settings: &Settings,
    role: TopicRole,
    maintenance: Maintenance,
) -> Result<TableAnswer, TablesError> {
    let table = table::<R>(settings)?;
    let outcome = match maintenance {
        Maintenance::Info => match table.info().await? {
            Some(info) => {
                let positions = table.positions(&app_ids(settings, R::STAGE, role)).await?;
                let state = TableState::new(&info, table.location().to_string(), positions);
                Some(TableOutcome::State(state))
            }
            None => None,
        },
        Maintenance::Optimize { target_bytes } => match table.info().await? {
            Some(before) => {
                let commits = table.optimize(target_bytes, |_| ()).await?;
                Some(TableOutcome::Optimized(Optimized::new(before.files, &commits)))
            }
            None => None,
        },
        Maintenance::Vacuum(options) => vacuum(&table, options).await?.map(TableOutcome::Vacuumed),
        Maintenance::Checkpoint(old_entries) => match table.checkpoint().await? {
            Some(version) => {
                let deleted = match old_entries {
                    OldLogEntries::Keep => None,
                    OldLogEntries::Delete => table.clean_log().await?,
                };
                Some(TableOutcome::Checkpointed(Checkpointed {
                    version,
                    log_entries_deleted: deleted,
                }))
            }
            None => None,
        },
    };
    Ok(TableAnswer {
        table: R::NAME,
        outcome: outcome.unwrap_or_else(|| TableOutcome::Missing {
            location: table.location().to_string(),
            missing: true,
            variable: R::VARIABLE,
        }),
        cost: table.bill().map(OneLakeCost::from),
    })
}

async fn vacuum<R: Configured>(table: &Table<R>, options: VacuumOptions) -> Result<Option<VacuumReport>, TablesError> {
    let retention = Duration::from_secs(options.retain_hours.saturating_mul(3600));
    let mut vacuum = match options.mode {
        VacuumMode::DryRun => Vacuum::dry_run(retention),
        VacuumMode::Delete => Vacuum::delete(retention),
    };
    if options.short_retention == ShortRetention::Allow {
        vacuum = vacuum.allow_short_retention();
    }
    let vacuumed = table.vacuum(vacuum).await;
    let vacuumed = vacuumed.map_err(TablesError::of_vacuum)?;
    Ok(vacuumed.map(|vacuumed| VacuumReport {
        unused_files: vacuumed.files,
        deleted: vacuumed.is_done,
        retain_hours: options.retain_hours,
    }))
}

/// Returns the application ids under which a table keeps the positions of a stage's partitions.
fn app_ids(settings: &Settings, stage: Stage, role: TopicRole) -> Vec<AppId> {
    let group = settings.groups.of(stage);
    let mut app_ids = Vec::new();
    for topic in settings.topics.of(role) {
        app_ids.extend((0..MAX_PARTITIONS).map(|partition| AppId::new(&group, topic, partition)));
    }
    app_ids
}
