//! The steps of an upkeep as lines of text, for the terminal and the console.

use super::counted;
use super::text::visible;
use xact_operations::leftovers::Leftovers;
use xact_operations::tables::{Optimized, TableAnswer, TableOutcome, TablePlan, Upkeep, UpkeepPlan};

const MIB: u64 = 1024 * 1024;

/// Most paths that are listed of a table or of the leftovers.
const MAX_PATHS: usize = 20;

/// Returns what was done, without failures: each has its own place.
pub(crate) fn done_lines(done: &Upkeep) -> Vec<String> {
    let mut lines: Vec<String> = done.steps.iter().filter_map(outcome_line).collect();
    lines.extend(done.leftovers.iter().flat_map(leftover_lines));
    if let Some(option) = done.stopped_by {
        lines.push(format!("{option} is reached; the next run continues"));
    }
    lines.push(spent(done.seconds, done.cu_seconds));
    lines
}

/// Returns what would be done, without failures.
pub(crate) fn plan_lines(plan: &UpkeepPlan) -> Vec<String> {
    let mut lines: Vec<String> = plan.tables.iter().flat_map(table_lines).collect();
    lines.extend(plan.leftovers.iter().flat_map(leftover_lines));
    if !plan.changes {
        lines.push("maintain would change nothing".to_owned());
    }
    lines.push(format!(
        "dry run, nothing was changed: {}",
        spent(plan.seconds, plan.cu_seconds)
    ));
    lines
}

fn spent(seconds: f64, cu_seconds: f64) -> String {
    format!("{seconds:.1} s, {cu_seconds:.4} CU seconds of OneLake")
}

fn table_lines(plan: &TablePlan) -> Vec<String> {
    let name = plan.table;
    if !plan.changes() {
        return vec![format!("{name}: nothing to do")];
    }
    let mut lines = Vec::new();
    if plan.commits > 0 {
        lines.push(format!(
            "{name}: {} of {} files ({} MiB) would be rewritten, in {}",
            plan.small_files,
            plan.files,
            mib(plan.small_bytes),
            counted(plan.commits, "commit"),
        ));
    }
    if let Some(version) = plan.checkpoint {
        let log = plan
            .log_entries
            .map(|count| format!(", and {count} old log entries deleted"));
        lines.push(format!(
            "{name}: a checkpoint of version {version} would be written{}",
            log.unwrap_or_default()
        ));
    }
    if !plan.unused_files.is_empty() {
        let count = plan.unused_files.len();
        lines.push(format!("{name}: {} would be deleted:", counted(count, "unused file")));
        let listed = plan.unused_files.iter().take(MAX_PATHS);
        lines.extend(listed.map(|path| format!("  {}", visible(path))));
        lines.extend(more(count));
    }
    lines
}

fn more(count: usize) -> Option<String> {
    (count > MAX_PATHS).then(|| format!("and {} more; use --json for all", count - MAX_PATHS))
}

/// Returns what was found or done as one line; `None` for a state, which is a table.
pub(crate) fn outcome_line(answer: &TableAnswer) -> Option<String> {
    let name = answer.table;
    Some(match &answer.outcome {
        TableOutcome::State(_) => return None,
        TableOutcome::Missing { location, variable, .. } => format!(
            "{name}: no table exists at {location} yet. Its first row creates it; if it should exist, check {variable}"
        ),
        TableOutcome::Optimized(optimized) => optimized_line(name, optimized),
        TableOutcome::Vacuumed {
            unused_files,
            deleted,
            retain_hours,
        } => match (unused_files.len(), deleted) {
            (0, _) => format!("{name}: no files unused for {retain_hours} h"),
            (count, true) => format!("{name}: {count} unused files deleted"),
            (count, false) => format!(
                "{name}: {count} unused files; dry run: pass --yes to delete them:\n  {}",
                unused_files.join("\n  ")
            ),
        },
        TableOutcome::Checkpointed {
            version,
            log_entries_deleted,
        } => {
            let log = log_entries_deleted.map(|count| format!(", {count} old log entries deleted"));
            format!("{name}: checkpoint of version {version}{}", log.unwrap_or_default())
        }
    })
}

fn optimized_line(name: &str, optimized: &Optimized) -> String {
    if optimized.commits == 0 {
        return format!("{name}: {} files, none to rewrite", optimized.files_of_table);
    }
    format!(
        "{name}: {} files ({} MiB) became {} ({} MiB) in {} commits; `table vacuum` deletes the old files once they are a week old",
        optimized.files_before,
        mib(optimized.bytes_before),
        optimized.files_after,
        mib(optimized.bytes_after),
        optimized.commits
    )
}

/// Returns the unfinished files, their sum, and the cost.
pub(crate) fn leftover_lines(found: &Leftovers) -> Vec<String> {
    let count = found.files.len();
    let listed = found.files.iter().take(MAX_PATHS);
    let mut lines: Vec<String> = listed
        .map(|file| format!("{:>12}  {}", file.bytes, visible(&file.path)))
        .collect();
    lines.extend(more(count));
    lines.push(format!(
        "{}: {} older than {} h, {} bytes{}",
        found.location,
        counted(count, "unfinished file"),
        found.older_than_hours,
        found.bytes,
        if found.deleted { " deleted" } else { "" }
    ));
    lines.extend(found.cost.as_ref().map(ToString::to_string));
    lines
}

/// Returns bytes in MiB.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(table: TablePlan) -> UpkeepPlan {
        UpkeepPlan {
            changes: table.changes(),
            tables: vec![table],
            leftovers: None,
            failures: Vec::new(),
            seconds: 0.25,
            cu_seconds: 0.5,
        }
    }

    #[test]
    fn a_plan_says_what_would_be_done_or_that_nothing_would() {
        let table = "xact_events";
        let nothing = plan(TablePlan {
            table,
            files: 3,
            ..TablePlan::default()
        });
        let end = "dry run, nothing was changed: 0.2 s, 0.5000 CU seconds of OneLake";
        assert_eq!(
            plan_lines(&nothing),
            ["xact_events: nothing to do", "maintain would change nothing", end]
        );
        let much = plan(TablePlan {
            table,
            files: 30,
            commits: 2,
            small_files: 25,
            small_bytes: 3 << 20,
            checkpoint: Some(17),
            log_entries: Some(4),
            unused_files: (0..22).map(|number| format!("{number}\u{202e}.parquet")).collect(),
        });
        let lines = plan_lines(&much);
        let first = [
            "xact_events: 25 of 30 files (3.0 MiB) would be rewritten, in 2 commits",
            "xact_events: a checkpoint of version 17 would be written, and 4 old log entries deleted",
            "xact_events: 22 unused files would be deleted:",
            "  0\\u{202e}.parquet",
        ];
        assert_eq!(lines[..4], first);
        assert_eq!(lines[23..], ["and 2 more; use --json for all", end]);
    }
}
