//! The environment of every part: a broker with the topics, the sample server, and handlers as separate processes.

use std::thread;
use std::time::{Duration, Instant};

use xact_testkit::{Fleet, Kafka, Result, Running, failed, wait_until};

/// Time within which a part must finish its work.
const PART_TIMEOUT: Duration = Duration::from_secs(600);
/// Time between two readings of what costs the handler no CPU time.
pub(crate) const READING_INTERVAL: Duration = Duration::from_millis(5);

/// The environment. Dropping it stops all processes and removes all files.
pub(crate) struct Bench {
    // The processes are dropped before the broker.
    pub(crate) fleet: Fleet,
    pub(crate) kafka: Kafka,
}

impl Bench {
    pub(crate) fn start() -> Result<Self> {
        let kafka = Kafka::start()?;
        let fleet = fleet(&kafka, "xact")?;
        Ok(Self { fleet, kafka })
    }
}

/// Creates the topics of a fleet, which has the delivered defaults except for addresses, folders, log and batch times.
pub(crate) fn fleet(kafka: &Kafka, name: &str) -> Result<Fleet> {
    let settings = [
        ("LOG_LEVEL", "warn"),
        ("EVENT_BATCH_SECONDS", "1"),
        ("RESULT_BATCH_SECONDS", "1"),
    ];
    let mut fleet = Fleet::new(kafka.bootstrap(), name, &settings)?;
    let shorter = ["COMMIT_INTERVAL_MS", "KAFKA_SESSION_TIMEOUT_MS"];
    fleet.environment.retain(|(name, _)| !shorter.contains(&name.as_str()));
    Ok(fleet)
}

/// What was observed from the first items that were seen to the last.
pub(crate) struct Observed<T> {
    /// Items that were done in this time.
    pub(crate) items: u64,
    pub(crate) seconds: f64,
    /// The samples at its start and at its end.
    pub(crate) before: T,
    pub(crate) after: T,
}

impl<T> Observed<T> {
    /// Returns the rate per second.
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    pub(crate) fn rate(&self) -> f64 {
        self.items as f64 / self.seconds
    }
}

impl Observed<f64> {
    /// Returns the part of `count` items in what the samples count, for example CPU seconds.
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    pub(crate) fn per(&self, count: u64) -> f64 {
        (self.after - self.before) * count as f64 / self.items as f64
    }
}

/// Waits until `count` items are done, as counted by `seen`, and samples something at the first items and at the last.
pub(crate) fn observe<T>(
    what: &str,
    count: u64,
    interval: Duration,
    mut sample: impl FnMut() -> Result<T>,
    mut seen: impl FnMut() -> Result<u64>,
) -> Result<Observed<T>> {
    let deadline = Instant::now() + PART_TIMEOUT;
    let mut first = None;
    // `wait_until` slows down to ten polls per second, too coarse for a part that takes two seconds.
    loop {
        let items = seen()?;
        let now = Instant::now();
        if items >= count {
            let Some((from, already, before)) = first else {
                let detail = "all was done before the first reading: measure more (--events, --files)";
                return Err(failed(what, detail));
            };
            return Ok(Observed {
                items: items - already,
                seconds: now.duration_since(from).as_secs_f64(),
                before,
                after: sample()?,
            });
        }
        if first.is_none() && items > 0 {
            first = Some((now, items, sample()?));
        }
        if now >= deadline {
            return Err(failed(what, format!("only {items} of {count} after {PART_TIMEOUT:?}")));
        }
        thread::sleep(interval);
    }
}

/// Waits until `count` items are done, as counted by `seen`. Returns the rate per second, from the first item to the last.
pub(crate) fn rate(what: &str, count: u64, seen: impl FnMut() -> Result<u64>) -> Result<f64> {
    Ok(observe(what, count, READING_INTERVAL, || Ok(()), seen)?.rate())
}

/// Waits until a writer of tables has written this number of rows to one. Polls seldom: each scrape takes CPU time of the handler.
pub(crate) fn wait_rows(writer: &Running, table: &str, count: u64) -> Result<()> {
    let what = format!("{table} has {count} rows");
    wait_until(PART_TIMEOUT, &what, || {
        (counted(writer, "delta_events_written_total", &[("table", table)]) >= count).then_some(())
    })
    .map_err(|error| writer.error(&error))
}

/// Returns the sum of a counter in the metrics of a process; zero while it does not answer.
pub(crate) fn counted(running: &Running, name: &str, labels: &[(&str, &str)]) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    running.sum(name, labels).map_or(0, |sum| sum as u64)
}
