//! `table info|optimize|vacuum|checkpoint`: maintenance of the Delta tables, safe while handlers run.
//!
//! Each answer about a table in OneLake ends with its cost: a line of text, or the keys `requests`, `cu_seconds` and
//! `billing` (both figures by class).

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::onelake_cost;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table as Printed;
use xact_config::{Environment, Settings};
use xact_contracts::ids::AppId;
use xact_contracts::topology::{Stage, TopicRole};
use xact_lake::{AttachmentRow, EventRow, FailedRow, Table, TableInfo, TableRow};
use xact_table_sink::{Configured, table};

const MIB: u64 = 1024 * 1024;

/// Maintenance of the tables.
#[derive(Debug, Subcommand)]
pub(crate) enum TableAction {
    /// Show version, files, rows, dates and positions, with advice
    Info(Which),
    /// Rewrite small files as larger ones; safe while handlers write
    Optimize {
        #[command(flatten)]
        which: Which,
        /// Size of the files to write
        #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=4096))]
        target_mib: u64,
    },
    /// List files that no version within the retention period uses; with --yes, delete them
    Vacuum {
        #[command(flatten)]
        which: Which,
        /// Younger files are never deleted
        #[arg(long, value_name = "N", default_value_t = 168)]
        retain_hours: u64,
        /// Allow less than 168 hours: older versions, slow readers and slow writers lose their files
        #[arg(long)]
        allow_short_retention: bool,
        /// Delete
        #[arg(long)]
        yes: bool,
    },
    /// Write a checkpoint
    Checkpoint {
        #[command(flatten)]
        which: Which,
        /// Then delete log entries older than the table's delta.logRetentionDuration (30 days)
        #[arg(long)]
        clean_log: bool,
    },
}

/// Which tables, and in which format to answer.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which table
    #[arg(long, value_enum, default_value_t = Choice::All)]
    table: Choice,
    /// Answer in JSON; tables in OneLake have `requests`, `cu_seconds` and `billing`
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    All,
    Events,
    Attachments,
    Failed,
}

/// Carries out the action on each chosen table; false if a table does not exist.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, action: TableAction) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    if !settings.delta_writes {
        return Err(
            "ENABLE_DELTA_WRITES=false: these settings write no tables. Set it to true to maintain them".into(),
        );
    }
    let which = match &action {
        TableAction::Info(which)
        | TableAction::Optimize { which, .. }
        | TableAction::Vacuum { which, .. }
        | TableAction::Checkpoint { which, .. } => which,
    };
    let chosen = |choice| which.table == Choice::All || which.table == choice;
    let mut answers = Vec::new();
    if chosen(Choice::Events) {
        let app_ids = app_ids(&settings, Stage::EventWriter, TopicRole::Raw);
        answers.push(one::<EventRow>(&settings, app_ids, &action).await?);
    }
    let results = || app_ids(&settings, Stage::ResultProcessor, TopicRole::Results);
    if chosen(Choice::Attachments) {
        answers.push(one::<AttachmentRow>(&settings, results(), &action).await?);
    }
    if chosen(Choice::Failed) {
        answers.push(one::<FailedRow>(&settings, results(), &action).await?);
    }
    let all_there = answers
        .iter()
        .all(|answer| !answer.json["missing"].as_bool().unwrap_or(false));
    if which.json {
        let json: Vec<&Value> = answers.iter().map(|answer| &answer.json).collect();
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        for answer in &answers {
            println!("{}", answer.text);
        }
    }
    Ok(ExitStatus::from(all_there))
}

/// The answer about one table, as text and as JSON.
struct Answer {
    text: String,
    json: Value,
}

async fn one<R: Configured>(
    settings: &Settings,
    app_ids: Vec<AppId>,
    action: &TableAction,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let table = table::<R>(settings)?;
    let at = table.location().to_string();
    let answer = match action {
        TableAction::Info(_) => match table.info().await? {
            Some(state) => Some(info(R::NAME, &at, &state, &table.positions(&app_ids).await?)),
            None => None,
        },
        TableAction::Optimize { target_mib, .. } => match table.info().await? {
            Some(before) => Some(optimize(&table, &before, target_mib * MIB).await?),
            None => None,
        },
        TableAction::Vacuum {
            retain_hours,
            allow_short_retention,
            yes,
            ..
        } => {
            let retention = Duration::from_secs(retain_hours.saturating_mul(3600));
            let vacuumed = table.vacuum(retention, *allow_short_retention, *yes).await;
            let vacuumed = vacuumed.map_err(|error| match error {
                xact_lake::TableError::Refused { .. } => {
                    format!("{error}. If nobody reads or writes it: --allow-short-retention")
                }
                error => error.to_string(),
            })?;
            vacuumed.map(|vacuumed| {
                let files = vacuumed.files.len();
                let text = match (files, vacuumed.is_done) {
                    (0, _) => format!("{}: no file has been unused for {retain_hours} h", R::NAME),
                    (_, true) => format!("{}: {files} unused files deleted", R::NAME),
                    (_, false) => format!(
                        "{}: {files} unused files; dry run: pass --yes to delete them:\n  {}",
                        R::NAME,
                        vacuumed.files.join("\n  ")
                    ),
                };
                let json = json!({"table": R::NAME, "unused_files": vacuumed.files, "deleted": vacuumed.is_done});
                Answer { text, json }
            })
        }
        TableAction::Checkpoint { clean_log, .. } => match table.checkpoint().await? {
            Some(version) => {
                let cleaned = if *clean_log { table.clean_log().await? } else { None };
                let log = cleaned.map_or_else(String::new, |entries| format!(", {entries} old log entries deleted"));
                Some(Answer {
                    text: format!("{}: checkpoint of version {version}{log}", R::NAME),
                    json: json!({"table": R::NAME, "checkpoint": version, "log_entries_deleted": cleaned}),
                })
            }
            None => None,
        },
    };
    let mut answer = answer.unwrap_or_else(|| Answer {
        text: format!(
            "{}: there is no table at {at} yet. Its first row creates it; if it should exist, check {}",
            R::NAME,
            R::VARIABLE
        ),
        json: json!({"table": R::NAME, "location": at, "missing": true}),
    });
    let bill = table.bill();
    onelake_cost::add_to_json(&mut answer.json, bill.as_ref());
    if let Some(bill) = bill {
        answer.text = format!("{}\n{}: {}", answer.text, R::NAME, onelake_cost::in_text(&bill));
    }
    Ok(answer)
}

fn info(name: &str, at: &str, state: &TableInfo, positions: &BTreeMap<AppId, i64>) -> Answer {
    let mut advice: Vec<String> = Vec::new();
    let obstacles: Vec<String> = state
        .obstacles
        .iter()
        .map(|obstacle| format!("{} ({})", obstacle.reason, obstacle.feature))
        .collect();
    advice.extend(state.obstacles.iter().map(|obstacle| obstacle.remedy.clone()));
    if state.small_files > 100 {
        advice.push(format!(
            "{} small files make key look-ups and reads slower: run `table optimize`",
            state.small_files
        ));
    }
    let since = state.version - state.checkpoint.unwrap_or(0).min(state.version);
    if since > 200 {
        advice.push(format!(
            "{since} commits since the last checkpoint make opening slower: run `table checkpoint`"
        ));
    }
    let date = |date: Option<jiff::civil::Date>| date.map_or_else(|| "-".to_owned(), |date| date.to_string());
    let by_name: BTreeMap<&str, i64> = positions
        .iter()
        .map(|(app_id, next)| (app_id.as_str(), *next))
        .collect();
    let mut rows = Printed::new(&[name, at]);
    rows.add_row(["version", &state.version.to_string()]);
    let checkpoint = state
        .checkpoint
        .map_or_else(|| "none".to_owned(), |version| version.to_string());
    rows.add_row(["last checkpoint", &checkpoint]);
    rows.add_row(["rows", &state.rows.to_string()]);
    rows.add_row([
        "files",
        &format!("{}, {} of them small", state.files, state.small_files),
    ]);
    rows.add_row(["MiB", &format!("{:.1}", state.bytes as f64 / MIB as f64)]);
    let (first, last) = (date(state.first_date), date(state.last_date));
    rows.add_row(["dates", &format!("{}, {first} to {last}", state.dates)]);
    for (app_id, next) in positions {
        rows.add_row([app_id.as_str(), &format!("written up to offset {next}")]);
    }
    for obstacle in &obstacles {
        rows.add_row(["cannot be appended to", obstacle]);
    }
    for advice in &advice {
        rows.add_row(["advice", advice]);
    }
    Answer {
        text: rows.to_string(),
        json: json!({"table": name, "location": at, "version": state.version, "checkpoint": state.checkpoint,
            "rows": state.rows, "files": state.files, "small_files": state.small_files, "bytes": state.bytes,
            "dates": state.dates, "first_date": state.first_date, "last_date": state.last_date,
            "positions": by_name, "obstacles": obstacles, "advice": advice}),
    }
}

async fn optimize<R: TableRow>(
    table: &Table<R>,
    before: &TableInfo,
    target: u64,
) -> Result<Answer, xact_lake::TableError> {
    let commits = table.optimize(target, |_| ()).await?;
    let files_before: usize = commits.iter().map(|commit| commit.files_before).sum();
    let files_after: usize = commits.iter().map(|commit| commit.files_after).sum();
    let bytes = |of: fn(&xact_lake::Compacted) -> u64| commits.iter().map(of).sum::<u64>();
    let (bytes_before, bytes_after) = (bytes(|commit| commit.bytes_before), bytes(|commit| commit.bytes_after));
    let text = if commits.is_empty() {
        format!("{}: {} files, none to rewrite", R::NAME, before.files)
    } else {
        format!(
            "{}: {files_before} files ({:.1} MiB) became {files_after} ({:.1} MiB) in {} commits; `table vacuum` deletes the old ones once they are a week old",
            R::NAME,
            bytes_before as f64 / MIB as f64,
            bytes_after as f64 / MIB as f64,
            commits.len()
        )
    };
    let json = json!({"table": R::NAME, "commits": commits.len(), "files_before": files_before, "files_after": files_after,
        "bytes_before": bytes_before, "bytes_after": bytes_after});
    Ok(Answer { text, json })
}

/// Returns the application ids under which a table keeps the positions of a stage's partitions.
fn app_ids(settings: &Settings, stage: Stage, role: TopicRole) -> Vec<AppId> {
    let group = settings.groups.of(stage);
    // More partitions than by default, since partitions can be added.
    let of_topic = |topic: &str| {
        (0..64)
            .map(|partition| AppId::new(&group, topic, partition))
            .collect::<Vec<_>>()
    };
    settings.topics.of(role).into_iter().flat_map(of_topic).collect()
}
