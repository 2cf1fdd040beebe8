//! The dry run of an upkeep: what it would do, without limits. It reads logs and listings, and writes nothing.

use std::time::Instant;

use serde::Serialize;

use super::needs::{self, Effect, Needs};
use super::{UpkeepFailure, UpkeepLimits};
use crate::error::OperationError;
use crate::leftovers::{self, Leftovers};
use crate::onelake_cost::OneLakeCost;
use crate::tables::{TableOutcome, vacuum};
use xact_config::Settings;
use xact_lake::{AttachmentRow, EventRow, FailedRow, ReconciliationRow, Table};
use xact_table_sink::{Configured, table};

/// What an upkeep would do.
#[derive(Debug, Serialize)]
pub struct UpkeepPlan {
    /// One plan for each table that exists.
    pub tables: Vec<TablePlan>,
    /// Unfinished uploads that would be deleted; `None` if they cannot be listed.
    pub leftovers: Option<Leftovers>,
    /// What could not be planned, and could not be maintained either.
    pub failures: Vec<UpkeepFailure>,
    /// Whether anything would be written or deleted.
    pub changes: bool,
    /// How long the planning took.
    pub seconds: f64,
    /// Cost of its requests to OneLake.
    pub cu_seconds: f64,
}

/// What would be done with a table.
#[derive(Debug, Default, Serialize)]
pub struct TablePlan {
    /// The table's name.
    pub table: &'static str,
    /// Its data files.
    pub files: usize,
    /// Commits that would rewrite small files.
    pub commits: usize,
    /// Small files that would be rewritten.
    pub small_files: usize,
    /// Their bytes.
    pub small_bytes: u64,
    /// The version that a checkpoint would be of, if nobody else commits; `None`: no checkpoint is needed.
    pub checkpoint: Option<u64>,
    /// Log entries that would then be deleted; `None`: another program cleans up the log, or there would be no checkpoint.
    pub log_entries: Option<usize>,
    /// Files that no version within the retention uses, and that would be deleted.
    pub unused_files: Vec<String>,
}

impl TablePlan {
    /// Returns whether anything would be written or deleted.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.commits > 0 || self.checkpoint.is_some() || !self.unused_files.is_empty()
    }
}

/// Returns what [`super::upkeep`] would do. The limits of time and CU seconds do not apply: a run that reaches one does the rest
/// the next time.
pub async fn plan_upkeep(settings: &Settings, limits: UpkeepLimits) -> UpkeepPlan {
    let begun = Instant::now();
    let mut planning = Planning {
        limits,
        tables: Vec::new(),
        failures: Vec::new(),
        spent: 0.0,
    };
    if settings.delta_writes {
        planning.table::<EventRow>(settings).await;
        planning.table::<AttachmentRow>(settings).await;
        planning.table::<FailedRow>(settings).await;
        if !settings.reconciliation_table.is_empty() {
            planning.table::<ReconciliationRow>(settings).await;
        }
    }
    let leftovers = match leftovers::run(settings, needs::leftovers(Effect::Plan)).await {
        Ok(found) => {
            planning.spent += found.cost.as_ref().map_or(0.0, OneLakeCost::cu_seconds);
            Some(found)
        }
        Err(error) => {
            planning.failed("files", &error);
            None
        }
    };
    let has_leftovers = leftovers.as_ref().is_some_and(|found| !found.files.is_empty());
    UpkeepPlan {
        changes: has_leftovers || planning.tables.iter().any(TablePlan::changes),
        tables: planning.tables,
        leftovers,
        failures: planning.failures,
        seconds: begun.elapsed().as_secs_f64(),
        cu_seconds: planning.spent,
    }
}

struct Planning {
    limits: UpkeepLimits,
    tables: Vec<TablePlan>,
    failures: Vec<UpkeepFailure>,
    spent: f64,
}

impl Planning {
    fn failed(&mut self, of: &'static str, error: &OperationError) {
        let reason = error.to_string();
        self.failures.push(UpkeepFailure { of, reason });
    }

    async fn table<R: Configured>(&mut self, settings: &Settings) {
        let table = match table::<R>(settings) {
            Ok(table) => table,
            Err(error) => return self.failed(R::NAME, &error.into()),
        };
        match plan(&table, self.limits).await {
            Ok(planned) => self.tables.extend(planned),
            Err(error) => self.failed(R::NAME, &error),
        }
        self.spent += table.bill().map_or(0.0, |bill| bill.total().cu_seconds());
    }
}

async fn plan<R: Configured>(table: &Table<R>, limits: UpkeepLimits) -> Result<Option<TablePlan>, OperationError> {
    let Some(needs) = Needs::of(table, limits.target_bytes()).await? else {
        return Ok(None);
    };
    let commits = needs.rewrite.len();
    let version = needs.version + commits as u64;
    let checkpoint = needs.checkpoint(commits).then_some(version);
    let log_entries = match checkpoint {
        Some(_) => needs::of_this_program(table.plan_clean_log(commits as u64).await)?,
        None => None,
    };
    let unused = vacuum(table, needs::unused_files(limits.retain_hours, Effect::Plan)).await?;
    Ok(Some(TablePlan {
        table: R::NAME,
        files: needs.files,
        commits,
        small_files: needs.rewrite.iter().map(|part| part.files).sum(),
        small_bytes: needs.rewrite.iter().map(|part| part.bytes).sum(),
        checkpoint,
        log_entries,
        unused_files: match unused {
            Some(TableOutcome::Vacuumed { unused_files, .. }) => unused_files,
            _ => Vec::new(),
        },
    }))
}
