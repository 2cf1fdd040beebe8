//! The table at the end of a demo.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::progress::by_label;
use super::verify::Verified;
use crate::dev::Dev;
use crate::ui::Table;
use xact_config::Settings;
use xact_telemetry::metrics::metrics;

/// Prints what was counted.
#[allow(clippy::print_stdout)]
pub(crate) fn print(
    dev: &Dev,
    settings: &Settings,
    verified: &Verified,
    elapsed: Duration,
    manifest: &Path,
    complete: bool,
) {
    let mut kinds = Table::new(&[
        "attachments",
        "sent",
        "files",
        "failed rows",
        "retried",
        "lost",
        "not as expected",
    ]);
    for (kind, tally) in &verified.attachments {
        kinds.add_row([
            kind.to_string(),
            tally.sent.to_string(),
            tally.files.to_string(),
            tally.failed.to_string(),
            tally.retried.to_string(),
            tally.lost.to_string(),
            tally.unexpected.to_string(),
        ]);
    }
    println!("{kinds}\n");
    let seconds = verified.span.max(0.001);
    let mut totals = Table::new(&["the whole run", ""]);
    let mut row = |name: &str, value: String| {
        totals.add_row([name.to_owned(), value]);
    };
    row(
        "events in",
        format!(
            "{} ({} messages, repeated and unreadable ones included)",
            verified.events, verified.messages
        ),
    );
    row("rows in xact_events", verified.event_rows.to_string());
    row("rows in xact_attachments", verified.attachment_rows.to_string());
    row("rows in xact_attachments_failed", verified.failed_rows.to_string());
    row(
        "files in the lake",
        format!("{}, {}", verified.files, indicatif::HumanBytes(verified.bytes)),
    );
    row(
        "retries by category",
        list(&by_label(&metrics().retry_attempts, "error_category", None)),
    );
    row("dead letters by category", list(&verified.dead_letters));
    row(
        "unreadable messages",
        format!(
            "{} sent, {} dead-lettered",
            verified.unreadable_sent, verified.unreadable_letters
        ),
    );
    row(
        "lost",
        format!("{} attachments, {} events", verified.lost(), verified.lost_events),
    );
    row("duplicate keys", verified.duplicates.to_string());
    row(
        "event to row",
        format!(
            "p50 {}, p95 {}",
            percentile(&verified.latencies, 50),
            percentile(&verified.latencies, 95)
        ),
    );
    #[allow(clippy::cast_precision_loss)]
    row(
        "throughput",
        format!(
            "{:.0} events/s, {:.0} files/s over {seconds:.1} s ({:.1} s with start and end)",
            verified.events as f64 / seconds,
            verified.files as f64 / seconds,
            elapsed.as_secs_f64()
        ),
    );
    println!("{totals}\n");
    places(dev, settings, manifest);
    match (complete, verified.is_well()) {
        (true, true) => println!("\nEvery attachment is accounted for exactly once."),
        (true, false) => println!(
            "\nNOT WELL: see the columns lost and not as expected, and the rows lost, duplicate keys and unreadable."
        ),
        (false, _) => println!(
            "\nNOT COMPLETE: the pipeline stopped moving before everything was done; /health/ready and the log say why."
        ),
    }
}

/// Says what a demo that was told to stop leaves behind.
#[allow(clippy::print_stdout)]
pub(crate) fn interrupted(dev: &Dev, settings: &Settings, sent: usize, count: u64, manifest: &Path) {
    println!("stopped after {sent} of {count} events; draining and committing.");
    if dev.is_embedded() {
        println!(
            "What was not finished is gone with the embedded broker; on a broker of your own (LOCAL_KAFKA_BOOTSTRAP_SERVERS) --dev would go on with it."
        );
    } else {
        println!("Run --dev again on the same broker to finish what is left.");
    }
    places(dev, settings, manifest);
}

#[allow(clippy::print_stdout)]
fn places(dev: &Dev, settings: &Settings, manifest: &Path) {
    println!("everything lies in  {}", dev.folder.display());
    for (name, place) in [
        ("files", settings.onelake_base_path.as_str()),
        ("xact_events", &settings.events_table),
        ("xact_attachments", &settings.attachments_table),
        ("…_failed", &settings.failed_table),
    ] {
        println!("  {name:17} {place}");
    }
    println!("  {:17} {}", "what was sent", manifest.display());
}

fn list<N: std::fmt::Display>(counts: &BTreeMap<String, N>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// By nearest rank, of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> String {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted
        .get(rank)
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"))
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
