//! Maintenance of the Delta tables, safe while handlers write: state, optimize, vacuum, checkpoint; and all that they need, in
//! one run (`upkeep`).

mod answer;
mod states;
mod upkeep;

pub use answer::{Optimized, TableAnswer, TableOutcome, TableState};
pub use states::{StateOf, states};
pub use upkeep::{TablePlan, Upkeep, UpkeepFailure, UpkeepLimits, UpkeepPlan, plan_upkeep, upkeep};

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::error::{OperationError, refuse};
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, EventRow, FailedRow, ReconciliationRow, Table, TableErrorKind, Vacuum};
use xact_table_sink::{Configured, table};

/// Partitions per topic whose positions are asked for: more than the default, because partitions can be added.
const MAX_PARTITIONS: i32 = 64;

/// One of the tables, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "doc comments would be help texts of the values")]
pub enum Tables {
    All,
    Events,
    Attachments,
    Failed,
    Reconciliation,
}

/// What to do with a table.
#[derive(Debug, Clone, Copy)]
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
    Checkpoint {
        /// Whether log entries older than the table's `delta.logRetentionDuration` (30 days) are then deleted.
        clean_log: bool,
    },
}

/// Which files a vacuum finds, and whether it deletes them.
#[derive(Debug, Clone, Copy, Args)]
pub struct VacuumOptions {
    /// Younger files are never deleted
    #[arg(long, value_name = "N", default_value_t = 168)]
    pub retain_hours: u64,
    /// Allow less than 168 hours: older versions, slow readers and slow writers lose their files
    #[arg(long)]
    pub allow_short_retention: bool,
    /// Delete
    #[arg(long)]
    pub yes: bool,
}

/// Does one thing with each of the tables.
///
/// # Errors
/// When the settings write no tables, or a table cannot be opened, read or written.
pub async fn maintain(
    settings: &Settings,
    tables: Tables,
    maintenance: Maintenance,
) -> Result<Vec<TableAnswer>, OperationError> {
    if !settings.delta_writes {
        let text = "ENABLE_DELTA_WRITES=false: these settings write no tables. Set it to true to maintain them";
        return refuse(text);
    }
    let is_chosen = |table| tables == Tables::All || tables == table;
    let mut answers = Vec::new();
    if is_chosen(Tables::Events) {
        answers.push(of::<EventRow>(settings, maintenance).await?);
    }
    if is_chosen(Tables::Attachments) {
        answers.push(of::<AttachmentRow>(settings, maintenance).await?);
    }
    if is_chosen(Tables::Failed) {
        answers.push(of::<FailedRow>(settings, maintenance).await?);
    }
    let is_asked_for = tables == Tables::Reconciliation;
    if is_asked_for || (is_chosen(Tables::Reconciliation) && !settings.reconciliation_table.is_empty()) {
        let answer = of::<ReconciliationRow>(settings, maintenance).await?;
        // Among all tables it may be missing: only `reconcile --record` writes it.
        if is_asked_for || !matches!(answer.outcome, TableOutcome::Missing { .. }) {
            answers.push(answer);
        }
    }
    Ok(answers)
}

async fn of<R: Configured>(settings: &Settings, maintenance: Maintenance) -> Result<TableAnswer, OperationError> {
    let table = table::<R>(settings)?;
    let outcome = match maintenance {
        Maintenance::Info => match table.info().await? {
            Some(info) => {
                let positions = table.positions(&app_ids::<R>(settings)).await?;
                let state = TableState::new(&info, table.location().to_string(), positions);
                Some(TableOutcome::State(state))
            }
            None => None,
        },
        Maintenance::Optimize { target_bytes } => match table.info().await? {
            Some(before) => {
                let commits = table.optimize(target_bytes, || false).await?;
                Some(TableOutcome::Optimized(Optimized::new(before.files, &commits)))
            }
            None => None,
        },
        Maintenance::Vacuum(options) => vacuum(&table, options).await?,
        Maintenance::Checkpoint { clean_log } => match table.checkpoint().await? {
            Some(version) => Some(TableOutcome::Checkpointed {
                version,
                log_entries_deleted: if clean_log { table.clean_log().await? } else { None },
            }),
            None => None,
        },
    };
    Ok(TableAnswer {
        table: R::NAME,
        outcome: outcome.unwrap_or_else(|| missing(&table)),
        cost: table.bill().map(OneLakeCost::from),
    })
}

fn missing<R: Configured>(table: &Table<R>) -> TableOutcome {
    TableOutcome::Missing {
        location: table.location().to_string(),
        missing: true,
        variable: R::VARIABLE,
    }
}

async fn vacuum<R: Configured>(
    table: &Table<R>,
    options: VacuumOptions,
) -> Result<Option<TableOutcome>, OperationError> {
    let retention = Duration::from_secs(options.retain_hours.saturating_mul(3600));
    let mut vacuum = if options.yes {
        Vacuum::delete(retention)
    } else {
        Vacuum::dry_run(retention)
    };
    if options.allow_short_retention {
        vacuum = vacuum.allow_short_retention();
    }
    let vacuumed = table.vacuum(vacuum).await.map_err(|error| match &error.kind {
        TableErrorKind::Refused { .. } => {
            format!("{error}. If nobody reads or writes it: --allow-short-retention").into()
        }
        _ => OperationError::from(error),
    })?;
    Ok(vacuumed.map(|vacuumed| TableOutcome::Vacuumed {
        unused_files: vacuumed.files,
        deleted: vacuumed.is_done,
        retain_hours: options.retain_hours,
    }))
}

/// Returns the application ids under which a table keeps the positions of its stage's partitions.
fn app_ids<R: Configured>(settings: &Settings) -> Vec<AppId> {
    let Some((stage, role)) = R::SOURCE else {
        return Vec::new();
    };
    let group = settings.groups.of(stage);
    let mut app_ids = Vec::new();
    for topic in settings.topics.of(role) {
        app_ids.extend((0..MAX_PARTITIONS).map(|partition| AppId::new(&group, topic, partition)));
    }
    app_ids
}
