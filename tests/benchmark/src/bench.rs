//! The environment of every part: a broker with the topics, the sample server, and handlers as separate processes.

use std::time::{Duration, Instant};

use xact_testkit::samples::SampleServer;
use xact_testkit::stages::environment;
use xact_testkit::{Kafka, Result, WorkDir, wait_until};
use xact_testkit::{Metrics, Running, Variables, command, variables};

/// Time within which a part must finish its work.
const PART_TIMEOUT: Duration = Duration::from_secs(600);

/// The environment. Dropping it stops all processes and removes all files.
pub(crate) struct Bench {
    pub(crate) samples: SampleServer,
    environment: Variables,
    pub(crate) kafka: Kafka,
    pub(crate) dir: WorkDir,
}

impl Bench {
    pub(crate) fn start(name: &str) -> Result<Self> {
        let kafka = Kafka::start()?;
        let dir = WorkDir::new(&format!("bench-{name}"))?;
        let samples = SampleServer::start(&dir)?;
        let mut environment = environment(kafka.bootstrap(), &samples, &dir);
        // The delivered defaults, except for addresses and folders.
        environment.retain(|(name, _)| !matches!(name.as_str(), "COMMIT_INTERVAL_MS" | "KAFKA_SESSION_TIMEOUT_MS"));
        environment.extend(variables(&[
            ("LOG_LEVEL", "warn"),
            ("EVENT_BATCH_SECONDS", "1"),
            ("RESULT_BATCH_SECONDS", "1"),
        ]));
        command(&["topics", "create"], environment.clone(), &dir)?.success()?;
        Ok(Self {
            samples,
            environment,
            kafka,
            dir,
        })
    }

    /// Starts a handler with additional `settings`. Does not wait until it is ready.
    pub(crate) fn spawn(&self, stage: &str, settings: &[(&str, &str)]) -> Result<Running> {
        let mut environment = self.environment.clone();
        environment.extend(variables(settings));
        Running::start(stage, stage, &[], environment, &self.dir)
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
    let sum = running.metrics().map(|metrics: Metrics| metrics.sum(name, labels));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    sum.map_or(0, |sum| sum as u64)
}

/// Returns a value of `/proc/PID/status` in MiB.
pub(crate) fn memory_mib(running: &Running, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.process.id())).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::NAN);
    kib / 1024.0
}
