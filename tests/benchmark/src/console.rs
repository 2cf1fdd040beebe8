//! Measures the pages of the console with many dead letters and a year of dates.

use std::time::Instant;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::report::Report;
use xact_testkit::console::{self, ConsoleClient};
use xact_testkit::dead_letters::{letter, plant, with};
use xact_testkit::{Result, http};

/// Dead letters that are sent to the broker at once.
const CHUNK: u64 = 10_000;
/// Visits of a page, of which the fastest counts: the others measure the machine.
const VISITS: usize = 5;

pub(crate) fn measure(bench: &mut Bench, letters: u64, report: &mut Report) -> Result<()> {
    let topic = bench.fleet.topic("dlq");
    for chunk in 0..letters.div_ceil(CHUNK) {
        let numbers = chunk * CHUNK..letters.min((chunk + 1) * CHUNK);
        let planted: Vec<Value> = numbers.map(dead_letter).collect();
        plant(&bench.fleet.broker, &topic, &planted)?;
    }
    bench
        .fleet
        .run(&["reconcile", "--from", "2025-01-01", "--to", "2026-01-01", "--record"])?
        .success()?;
    let address = console::start(&mut bench.fleet, &[])?;
    let client = ConsoleClient::new(&address);
    let (_, first) = milliseconds(|| client.page("/dead-letters", 200))?;
    report.figure(
        format!("console, {letters} dead letters: their first page"),
        "ms",
        first,
    );
    for (path, what) in [
        ("/", "overview"),
        ("/dead-letters", "dead letters"),
        (
            "/dead-letters?category=transient&trace-id=letter-7",
            "dead letters of one event",
        ),
        ("/days?month=2025-06", "days"),
        ("/find", "find"),
        ("/setup", "setup"),
    ] {
        client.page(path, 200)?;
        let mut fastest = f64::INFINITY;
        for _ in 0..VISITS {
            fastest = fastest.min(milliseconds(|| client.page(path, 200))?.1);
        }
        let mut bare = f64::INFINITY;
        for _ in 0..VISITS {
            bare = bare.min(milliseconds(|| http::get(&address, "/health/live"))?.1);
        }
        report.pair(
            format!("console, {what}, next to a request for nothing"),
            "ms",
            fastest,
            bare,
        );
    }
    if let Some(kib) = bench.fleet["console"].process.most_resident_kib() {
        #[allow(clippy::cast_precision_loss)]
        report.figure(
            format!("console, {letters} dead letters: peak memory"),
            "MiB",
            kib as f64 / 1024.0,
        );
    }
    Ok(())
}

/// A dead letter with one of a hundred reasons.
fn dead_letter(number: u64) -> Value {
    let reason = format!(
        "host {number} answered 503 ({})",
        "abcdefghij".repeat(1 + usize::try_from(number % 100).unwrap_or(0) / 10)
    );
    with(letter(&format!("letter-{number}")), &[("/final_error", json!(reason))])
}

fn milliseconds<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((done, begun.elapsed().as_secs_f64() * 1000.0))
}
