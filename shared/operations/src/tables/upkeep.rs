//! Everything that the tables and files need from time to time, in one run that a schedule starts.
//!
//! - `needs`: what a table needs; the run does it, and the plan, which is the dry run, lists it

mod needs;
mod plan;

pub use plan::{TablePlan, UpkeepPlan, plan_upkeep};

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{Optimized, TableAnswer, TableOutcome, missing, vacuum};
use crate::error::OperationError;
use crate::leftovers::{self, Leftovers};
use crate::onelake_cost::OneLakeCost;
use needs::{Effect, Needs};
use xact_config::Settings;
use xact_lake::{AttachmentRow, EventRow, FailedRow, ReconciliationRow, Table};
use xact_table_sink::{Configured, table};

/// Limits of a run. The step that reaches one is finished, and no other begins.
#[derive(Debug, Clone, Copy, Args)]
pub struct UpkeepLimits {
    /// Time for the whole run
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub max_minutes: u64,
    /// CU seconds that requests to OneLake may cost; without it any number
    #[arg(long, value_name = "X", value_parser = positive)]
    pub max_cu_seconds: Option<f64>,
    /// Size of the files to write
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub target_mib: u64,
    /// Younger files are never deleted
    #[arg(long, value_name = "N", default_value_t = 168, value_parser = clap::value_parser!(u64).range(168..=87_600))]
    pub retain_hours: u64,
}

impl UpkeepLimits {
    fn target_bytes(&self) -> u64 {
        self.target_mib << 20
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "must be a number above 0".to_owned())
}

/// What a run has done.
#[derive(Debug, Serialize)]
pub struct Upkeep {
    /// One answer for each step, as the commands `table optimize`, `table checkpoint` and `table vacuum` give it.
    pub steps: Vec<TableAnswer>,
    /// Unfinished uploads that were deleted; `None` if a limit was reached before, or they cannot be listed or deleted.
    pub leftovers: Option<Leftovers>,
    /// What could not be finished. It kept nothing else from being maintained.
    pub failures: Vec<UpkeepFailure>,
    /// The option whose limit ended the run early. The next run continues.
    pub stopped_by: Option<&'static str>,
    /// How long it took.
    pub seconds: f64,
    /// Cost of all requests to OneLake.
    pub cu_seconds: f64,
}

/// A table, or the files, whose upkeep failed. What was done before is kept, and the next run continues.
#[derive(Debug, Serialize)]
pub struct UpkeepFailure {
    /// Name of the table, or `files`.
    pub of: &'static str,
    /// Why, and what to do.
    pub reason: String,
}

/// Compacts small files, writes a checkpoint, deletes old log entries, files that no version within the retention uses, and
/// unfinished uploads. Each step is safe while handlers write, and while another run does the same.
pub async fn upkeep(settings: &Settings, limits: UpkeepLimits) -> Upkeep {
    let mut run = Run {
        limits,
        begun: Instant::now(),
        spent: 0.0,
        stopped_by: None,
        steps: Vec::new(),
        failures: Vec::new(),
    };
    if settings.delta_writes {
        run.table::<EventRow>(settings).await;
        run.table::<AttachmentRow>(settings).await;
        run.table::<FailedRow>(settings).await;
        if !settings.reconciliation_table.is_empty() {
            run.table::<ReconciliationRow>(settings).await;
        }
    }
    let mut deleted = None;
    if !run.is_at_a_limit(0.0) {
        match leftovers::run(settings, needs::leftovers(Effect::Run)).await {
            Ok(found) => {
                run.spent += found.cost.as_ref().map_or(0.0, OneLakeCost::cu_seconds);
                deleted = Some(found);
            }
            Err(error) => run.failed("files", &error),
        }
    }
    Upkeep {
        steps: run.steps,
        leftovers: deleted,
        failures: run.failures,
        stopped_by: run.stopped_by,
        seconds: run.begun.elapsed().as_secs_f64(),
        cu_seconds: run.spent,
    }
}

/// A run so far.
struct Run {
    limits: UpkeepLimits,
    begun: Instant,
    /// CU seconds of the tables that are done.
    spent: f64,
    stopped_by: Option<&'static str>,
    steps: Vec<TableAnswer>,
    failures: Vec<UpkeepFailure>,
}

impl Run {
    fn failed(&mut self, of: &'static str, error: &OperationError) {
        let reason = error.to_string();
        self.failures.push(UpkeepFailure { of, reason });
    }

    /// Returns whether a limit is reached. `current`: CU seconds of the table that is being maintained.
    fn is_at_a_limit(&mut self, current: f64) -> bool {
        let is_spent = |limit| self.spent + current >= limit;
        if self.begun.elapsed() >= Duration::from_secs(self.limits.max_minutes * 60) {
            self.stopped_by = Some("--max-minutes");
        } else if self.limits.max_cu_seconds.is_some_and(is_spent) {
            self.stopped_by = Some("--max-cu-seconds");
        }
        self.stopped_by.is_some()
    }

    async fn table<R: Configured>(&mut self, settings: &Settings) {
        if self.is_at_a_limit(0.0) {
            return;
        }
        let table = match table::<R>(settings) {
            Ok(table) => table,
            Err(error) => return self.failed(R::NAME, &error.into()),
        };
        if let Err(error) = self.steps(&table).await {
            self.failed(R::NAME, &error);
        }
        self.spent += table.bill().map_or(0.0, |bill| bill.total().cu_seconds());
    }

    async fn steps<R: Configured>(&mut self, table: &Table<R>) -> Result<(), OperationError> {
        let spent = || table.bill().map_or(0.0, |bill| bill.total().cu_seconds());
        let step = |outcome| TableAnswer {
            table: R::NAME,
            outcome,
            cost: None,
        };
        let Some(needs) = Needs::of(table, self.limits.target_bytes()).await? else {
            self.steps.push(step(missing(table)));
            return Ok(());
        };
        let mut commits = Vec::new();
        if needs.optimize() && !self.is_at_a_limit(spent()) {
            let target_bytes = self.limits.target_bytes();
            commits = table.optimize(target_bytes, || self.is_at_a_limit(spent())).await?;
            let optimized = Optimized::new(needs.files, &commits);
            self.steps.push(step(TableOutcome::Optimized(optimized)));
        }
        if needs.checkpoint(commits.len())
            && !self.is_at_a_limit(spent())
            && let Some(version) = table.checkpoint().await?
        {
            let log_entries_deleted = needs::of_this_program(table.clean_log().await)?;
            self.steps.push(step(TableOutcome::Checkpointed {
                version,
                log_entries_deleted,
            }));
        }
        if !self.is_at_a_limit(spent()) {
            let unused = vacuum(table, needs::unused_files(self.limits.retain_hours, Effect::Run)).await?;
            self.steps.extend(unused.map(step));
        }
        Ok(())
    }
}
