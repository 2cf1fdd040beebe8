//! One line that shows what the stages have done so far, from their metrics.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use prometheus::IntCounterVec;
use prometheus::core::Collector;

use crate::ui;
use xact_telemetry::metrics::metrics;

/// Time between two updates on a terminal.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two lines elsewhere.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// The line, updated until it is stopped.
pub(crate) struct Progress {
    task: tokio::task::JoinHandle<()>,
    bar: ProgressBar,
}

impl Progress {
    /// Shows the line on standard error.
    pub(crate) fn start(events: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let (target, interval) = if is_terminal {
            (ProgressDrawTarget::stderr(), TERMINAL_INTERVAL)
        } else {
            (ProgressDrawTarget::hidden(), LOG_INTERVAL)
        };
        let bar = ProgressBar::with_draw_target(Some(events), target);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:24} {msg}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            loop {
                let (done, line) = line(events);
                shown.set_position(done);
                shown.set_message(line.clone());
                if !is_terminal {
                    ui::error_line(&line);
                }
                tokio::time::sleep(interval).await;
            }
        });
        Self { task, bar }
    }

    /// Removes the line.
    pub(crate) fn stop(self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

fn line(events: u64) -> (u64, String) {
    let metrics = metrics();
    let ingested = sum(&metrics.events_ingested);
    let files = by_label(&metrics.onelake_operations, "status").remove("success");
    let text = format!(
        "events {ingested}/{events}  files {}  bytes {}  rows {}  retries {}  dead letters {}",
        files.unwrap_or_default(),
        HumanBytes(sum(&metrics.onelake_bytes)),
        sum(&metrics.delta_rows),
        sum(&metrics.retry_attempts),
        sum(&metrics.dead_letters_audited),
    );
    (ingested, text)
}

/// Returns the sum of a counter over its series.
fn sum(counter: &IntCounterVec) -> u64 {
    by_label(counter, "").into_values().sum()
}

/// Returns the sums of a counter by one of its labels.
pub(super) fn by_label(counter: &IntCounterVec, label: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for family in counter.collect() {
        for metric in family.get_metric() {
            let pair = metric.get_label().iter().find(|pair| pair.name() == label);
            let value = pair.map(|pair| pair.value().to_owned()).unwrap_or_default();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let count = metric.get_counter().get_value() as u64;
            *sums.entry(value).or_default() += count;
        }
    }
    sums
}
