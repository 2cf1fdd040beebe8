//! The tables at the end of a demo.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::progress::by_label;
use super::verify::DemoResults;
use crate::dev::Dev;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_telemetry::metrics::metrics;

/// Whether the pipeline has processed everything that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processing {
    Finished,
    /// Progress stopped before everything was processed.
    Stalled,
}

/// Prints the results.
pub(crate) fn print(
    dev: &Dev,
    settings: &Settings,
    results: &DemoResults,
    elapsed: Duration,
    manifest: &Path,
    processing: Processing,
) {
    print_kinds(results);
    print_totals(results, elapsed);
    print_places(dev, settings, manifest);
    ui::line(match (processing, results.is_well()) {
        (Processing::Finished, true) => "\nEvery attachment is accounted for exactly once.",
        (Processing::Finished, false) => {
            "\nFAILED: see the columns lost and not as expected, and the rows lost, duplicate keys and unreadable messages."
        }
        (Processing::Stalled, _) => {
            "\nFAILED: the pipeline made no progress before everything was processed; /health/ready and the log say why."
        }
    });
}

fn print_kinds(results: &DemoResults) {
    let mut table = Table::new(&[
        "attachments",
        "sent",
        "files",
        "failed rows",
        "retried",
        "lost",
        "not as expected",
    ]);
    for (kind, counts) in &results.attachments {
        table.add_row([
            kind.to_string(),
            counts.sent.to_string(),
            counts.files.to_string(),
            counts.failed.to_string(),
            counts.retried.to_string(),
            counts.lost.to_string(),
            counts.unexpected.to_string(),
        ]);
    }
    table.print();
    ui::line("");
}

fn print_totals(results: &DemoResults, elapsed: Duration) {
    let mut table = Table::new(&["the whole run", ""]);
    let mut row = |name: &str, value: String| table.add_row([name.to_owned(), value]);
    row(
        "events in",
        format!(
            "{} ({} messages, repeated and unreadable ones included)",
            results.events, results.messages
        ),
    );
    row("rows in xact_events", results.event_rows.to_string());
    row("rows in xact_attachments", results.attachment_rows.to_string());
    row("rows in xact_attachments_failed", results.failed_rows.to_string());
    let bytes = indicatif::HumanBytes(results.bytes);
    row("files in the lake", format!("{}, {bytes}", results.files));
    let retries = by_label(&metrics().retry_attempts, "error_category");
    row("retries by category", list(&retries));
    row("dead letters by category", list(&results.dead_letters));
    let (sent, letters) = (results.unreadable_sent, results.unreadable_letters);
    row("unreadable messages", format!("{sent} sent, {letters} dead-lettered"));
    let (attachments, events) = (results.lost(), results.lost_events);
    row("lost", format!("{attachments} attachments, {events} events"));
    row("duplicate keys", results.duplicates.to_string());
    let percentile = |percent| percentile(&results.latencies, percent);
    row(
        "event to row",
        format!("p50 {}, p95 {}", percentile(50), percentile(95)),
    );
    let seconds = results.span.max(0.001);
    #[allow(clippy::cast_precision_loss)]
    row(
        "throughput",
        format!(
            "{:.0} events/s, {:.0} files/s over {seconds:.1} s ({:.1} s with start and end)",
            results.events as f64 / seconds,
            results.files as f64 / seconds,
            elapsed.as_secs_f64()
        ),
    );
    table.print();
    ui::line("");
}

/// Prints what an interrupted demo leaves behind.
pub(crate) fn interrupted(dev: &Dev, settings: &Settings, sent: usize, count: u64, manifest: &Path) {
    ui::line(format_args!(
        "interrupted after {sent} of {count} events; draining and committing."
    ));
    ui::line(if dev.is_embedded() {
        "Unfinished messages are lost with the embedded broker. With an external broker (LOCAL_KAFKA_BOOTSTRAP_SERVERS), --dev continues with them."
    } else {
        "Run --dev again on the same broker to process the rest."
    });
    print_places(dev, settings, manifest);
}

fn print_places(dev: &Dev, settings: &Settings, manifest: &Path) {
    ui::line(format_args!("  {:17} {}", "folder", dev.folder.display()));
    for (name, place) in [
        ("files", settings.onelake_base_path.as_str()),
        ("xact_events", &settings.events_table),
        ("xact_attachments", &settings.attachments_table),
        ("…_failed", &settings.failed_table),
    ] {
        ui::line(format_args!("  {name:17} {place}"));
    }
    ui::line(format_args!("  {:17} {}", "sent events", manifest.display()));
}

fn list<N: std::fmt::Display>(counts: &BTreeMap<String, N>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// Returns the nearest-rank percentile of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> String {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    or_dash(sorted.get(rank).map(|seconds| format!("{seconds:.2} s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), "50.00 s");
        assert_eq!(percentile(&values, 95), "95.00 s");
        assert_eq!(percentile(&values[..1], 95), "1.00 s");
        assert_eq!(percentile(&[], 95), "-");
    }
}
