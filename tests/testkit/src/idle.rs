//! Measures what a process costs while it is idle.

use std::thread;
use std::time::{Duration, Instant};

use crate::kafka::Proxy;
use crate::{Result, Usage};
use crate::{Running, failed};

/// A process under observation, and the proxy through which all of its Kafka clients connect.
pub struct Observed<'a> {
    /// The process.
    pub running: &'a Running,
    /// Its proxy.
    pub proxy: &'a Proxy,
}

/// The cost of a process per second.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Name of the process.
    pub name: String,
    /// CPU seconds.
    pub cores: f64,
    /// Bytes received from Kafka.
    pub received: f64,
    /// Wake-ups of its threads.
    pub wake_ups: f64,
}

/// Observes processes at the same time for a while.
///
/// # Errors
/// When one of them exits meanwhile.
pub fn observe(processes: &[Observed<'_>], during: Duration) -> Result<Vec<Cost>> {
    let looks = |processes: &[Observed<'_>]| -> Result<Vec<(Usage, u64)>> {
        let look = |it: &Observed<'_>| Ok((Usage::of(&it.running.process)?, it.proxy.answered_bytes()));
        processes.iter().map(look).collect()
    };
    let begun = Instant::now();
    let before = looks(processes)?;
    // A fixed time instead of a condition: the measurement is of a period in which nothing happens.
    thread::sleep(during);
    let after = looks(processes)?;
    let seconds = begun.elapsed().as_secs_f64();
    let costs = processes.iter().zip(before.into_iter().zip(after));
    costs
        .map(|(it, ((usage_before, bytes_before), (usage, bytes)))| {
            let name = it.running.process.name();
            let used = usage.since(&usage_before);
            let received = bytes.saturating_sub(bytes_before);
            if received == 0 {
                return Err(failed(
                    format!("{name} has received nothing"),
                    "is it connected through its proxy?",
                ));
            }
            #[allow(clippy::cast_precision_loss)]
            Ok(Cost {
                name: name.to_owned(),
                cores: used.run_time.as_secs_f64() / seconds,
                received: received as f64 / seconds,
                wake_ups: used.wake_ups as f64 / seconds,
            })
        })
        .collect()
}
