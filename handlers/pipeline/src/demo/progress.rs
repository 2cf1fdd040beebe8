//! One line that shows what the stages have done so far, from their metrics.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui;
use xact_telemetry::metrics::{Family, metrics};

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
        let bar = ProgressBar::with_draw_target(
            Some(events),
            if is_terminal {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
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
                tokio::time::sleep(if is_terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL }).await;
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
    let ingested = sum(&metrics.events_ingested, None);
    let text = format!(
        "events {ingested}/{events}  files {}  bytes {}  rows {}  retries {}  dead letters {}",
        sum(&metrics.onelake_operations, Some(("status", "success"))),
        indicatif::HumanBytes(sum(&metrics.onelake_bytes, None)),
        sum(&metrics.delta_rows, None),
        sum(&metrics.retry_attempts, None),
        sum(&metrics.dead_letters_audited, None),
    );
    (ingested, text)
}

/// Returns the sum of a counter over its series, or over those with one label value.
fn sum(counter: &Family<prometheus::IntCounterVec>, only: Option<(&str, &str)>) -> u64 {
    by_label(counter, "", only).into_values().sum()
}

/// Returns the sums of a counter by one of its labels.
pub(super) fn by_label(
    counter: &Family<prometheus::IntCounterVec>,
    label: &str,
    only: Option<(&str, &str)>,
) -> std::collections::BTreeMap<String, u64> {
    let mut sums = std::collections::BTreeMap::new();
    for family in counter.collect() {
        for metric in family.get_metric() {
            let has = |name: &str, value: &str| {
                metric
                    .get_label()
                    .iter()
                    .any(|pair| pair.name() == name && pair.value() == value)
            };
            if only.is_some_and(|(name, value)| !has(name, value)) {
                continue;
            }
            let key = metric
                .get_label()
                .iter()
                .find(|pair| pair.name() == label)
                .map_or_else(String::new, |pair| pair.value().to_owned());
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let value = metric.get_counter().get_value() as u64;
            *sums.entry(key).or_default() += value;
        }
    }
    sums
}
