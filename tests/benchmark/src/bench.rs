//! The environment of every part: a broker with the topics, the sample server, and handlers as separate processes.

use std::time::{Duration, Instant};

use xact_testkit::{Fleet, Kafka, Result, Running, wait_until};

/// Time within which a part must finish its work.
const PART_TIMEOUT: Duration = Duration::from_secs(600);

/// The environment. Dropping it stops all processes and removes all files.
pub(crate) struct Bench {
    // The processes are dropped before the broker.
    pub(crate) fleet: Fleet,
    pub(crate) kafka: Kafka,
}

impl Bench {
    pub(crate) fn start() -> Result<Self> {
        let kafka = Kafka::start()?;
        let settings = [
            ("LOG_LEVEL", "warn"),
            ("EVENT_BATCH_SECONDS", "1"),
            ("RESULT_BATCH_SECONDS", "1"),
        ];
        let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &settings)?;
        // The delivered defaults, except for addresses and folders.
        let shorter = ["COMMIT_INTERVAL_MS", "KAFKA_SESSION_TIMEOUT_MS"];
        fleet.environment.retain(|(name, _)| !shorter.contains(&name.as_str()));
        Ok(Self { fleet, kafka })
    }
}

/// Waits until a handler has processed `count` items. Returns the rate per second, measured from the first item to the last.
pub(crate) fn rate(what: &str, count: u64, mut seen: impl FnMut() -> Result<u64>) -> Result<f64> {
    let mut first: Option<(Instant, u64)> = None;
    let mut ticks = Duration::ZERO;
    let done = wait_until(PART_TIMEOUT, what, || {
        // `wait_until` slows down to ten polls per second, too coarse for a part that takes two seconds.
        let begun = Instant::now();
        loop {
            let seen = match seen() {
                Ok(seen) => seen,
                Err(error) => return Some(Err(error)),
            };
            let now = Instant::now();
            if first.is_none() && seen > 0 {
                first = Some((now, seen));
            }
            if let Some((from, already)) = first
                && seen >= count
            {
                #[allow(clippy::cast_precision_loss)]
                return Some(Ok((count - already) as f64 / now.duration_since(from).as_secs_f64()));
            }
            ticks = begun.elapsed();
            if ticks > Duration::from_secs(2) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    done?
}

/// Returns the sum of a counter in the metrics of a process; zero while it does not answer.
pub(crate) fn counted(running: &Running, name: &str, labels: &[(&str, &str)]) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    running.sum(name, labels).map_or(0, |sum| sum as u64)
}
