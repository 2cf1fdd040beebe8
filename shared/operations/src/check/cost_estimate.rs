//! Estimates what the settings cost in OneLake: one write for a file, two for a commit, and the commits that the batch times
//! allow.

use std::sync::Arc;

use super::finding::{Finding, Found};
use crate::prices::{commit_price, file_price};
use xact_config::Settings;
use xact_contracts::onelake_billing::Capacity;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Location};
use xact_table_sink::Configured;

const SECONDS_PER_DAY: f64 = 86_400.0;
/// The three tables together may use a quarter of the smallest capacity, so each table may use this part of it. A batch
/// time of 2 s is just below.
const TABLE_PART_OF_F2: f64 = 1.0 / 12.0;

/// A table with the batch time of the stage that writes it.
struct BatchTime {
    table: &'static str,
    variable: &'static str,
    seconds: f64,
}

impl BatchTime {
    /// Returns the commits of a day without pauses, unless batches are full earlier.
    fn commits_per_day(&self) -> f64 {
        SECONDS_PER_DAY / self.seconds
    }

    fn cu_seconds_per_day(&self) -> f64 {
        self.commits_per_day() * commit_price()
    }
}

/// Returns what the files and the tables cost, or warns if commits are so frequent that they use up the capacity.
pub(super) async fn estimate(settings: Arc<Settings>) -> Found {
    let has_files = is_in_onelake(&settings.onelake_base_path);
    let tables = tables(&settings);
    if !has_files && tables.is_empty() {
        return Ok(Finding::skipped("no files and no tables in OneLake"));
    }
    Ok(finding(has_files, &tables))
}

fn tables(settings: &Settings) -> Vec<BatchTime> {
    fn of<R: Configured>(settings: &Settings, variable: &'static str, seconds: f64) -> Option<BatchTime> {
        let is_counted = settings.delta_writes && is_in_onelake(R::path(settings));
        is_counted.then_some(BatchTime {
            table: R::NAME,
            variable,
            seconds,
        })
    }
    let events = settings.event_batch.wait.as_secs_f64();
    let results = settings.result_batch.wait.as_secs_f64();
    [
        of::<EventRow>(settings, "EVENT_BATCH_SECONDS", events),
        of::<AttachmentRow>(settings, "RESULT_BATCH_SECONDS", results),
        of::<FailedRow>(settings, "RESULT_BATCH_SECONDS", results),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn finding(has_files: bool, tables: &[BatchTime]) -> Finding {
    let f2 = f2_per_day();
    let mut text = Vec::new();
    if has_files {
        text.push(format!(
            "a file of up to 4 MiB costs {:.4} CU seconds (one write, no rename)",
            file_price()
        ));
    }
    if !tables.is_empty() {
        let all: f64 = tables.iter().map(BatchTime::cu_seconds_per_day).sum();
        let each = tables
            .iter()
            .map(|table| format!("{} {:.0}", table.table, table.cu_seconds_per_day()));
        text.push(format!(
            "a commit costs {:.4} CU seconds (two writes); with these batch times one busy replica of each stage costs at \
             most {} CU seconds a day, {:.0} % of an F2",
            commit_price(),
            each.collect::<Vec<_>>().join(", "),
            all / f2 * 100.0
        ));
    }
    let mut costly: Vec<&BatchTime> = tables
        .iter()
        .filter(|table| table.cu_seconds_per_day() > f2 * TABLE_PART_OF_F2)
        .collect();
    if costly.is_empty() {
        return Finding::ok(text.join("; "));
    }
    costly.dedup_by_key(|table| table.variable);
    text.extend(costly.into_iter().map(|table| {
        format!(
            "{}={}: {:.0} commits a day in a table cost as much as {:.0} files. Set at least {:.0} (default 5) unless rows \
             must be visible sooner",
            table.variable,
            table.seconds,
            table.commits_per_day(),
            table.cu_seconds_per_day() / file_price(),
            least_seconds()
        )
    }));
    Finding::warning(text.join("\n"))
}

/// Returns the smallest whole number of seconds without a warning.
fn least_seconds() -> f64 {
    (SECONDS_PER_DAY * commit_price() / (f2_per_day() * TABLE_PART_OF_F2)).ceil()
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn f2_per_day() -> f64 {
    Capacity::F2.cu_seconds_per_day() as f64
}

/// Returns whether a path is in OneLake. The check of its files or table reports a path that is not a location.
fn is_in_onelake(path: &str) -> bool {
    matches!(Location::parse(path), Ok(Location::OneLake { .. }))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn of(events: f64, results: f64) -> Finding {
        let tables = [
            ("xact_events", "EVENT_BATCH_SECONDS", events),
            ("xact_attachments", "RESULT_BATCH_SECONDS", results),
            ("xact_attachments_failed", "RESULT_BATCH_SECONDS", results),
        ];
        let batch_time = |(table, variable, seconds)| BatchTime {
            table,
            variable,
            seconds,
        };
        finding(true, &tables.map(batch_time))
    }

    #[test]
    fn the_default_batch_times_cost_a_tenth_of_an_f2() {
        let Finding { verdict, text } = of(5.0, 5.0);
        assert_eq!(verdict, Verdict::Ok);
        // 17,280 commits of 0.3252.
        let tables = "xact_events 5619, xact_attachments 5619, xact_attachments_failed 5619";
        for part in [tables, "10 % of an F2", "0.1626"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_batch_time_below_two_seconds_gives_one_warning_for_each_variable() {
        assert_eq!(of(2.0, 2.0).verdict, Verdict::Ok);
        let Finding { verdict, text } = of(5.0, 1.0);
        assert_eq!(verdict, Verdict::Warning);
        assert_eq!(
            text.matches("RESULT_BATCH_SECONDS=1: 86400 commits").count(),
            1,
            "{text}"
        );
        assert!(!text.contains("EVENT_BATCH_SECONDS"), "{text}");
        assert!(text.contains("as much as 172800 files. Set at least 2"), "{text}");
    }
}
