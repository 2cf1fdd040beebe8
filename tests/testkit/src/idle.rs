//! What a process costs while it has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use crate::kafka::Proxy;
use crate::{Result, Usage};
use crate::{Running, failed};

/// A process that is observed, and the proxy that all of its Kafka clients connect through.
pub struct Observed<'a> {
    /// The process.
    pub running: &'a Running,
    /// Its proxy.
    pub proxy: &'a Proxy,
}

/// Its cost per second of the observation.
#[derive(Debug, Clone)]
pub struct Cost {
    /// The process's name.
    pub name: String,
    /// Seconds on a core.
    pub cores: f64,
    /// Bytes received from Kafka.
    pub received: f64,
    /// How often a thread of it was woken.
    pub wake_ups: f64,
}

/// Observes processes side by side for a while.
///
/// # Errors
/// When one of them ends meanwhile.
pub fn observe(processes: &[Observed<'_>], during: Duration) -> Result<Vec<Cost>> {
    let looks = |processes: &[Observed<'_>]| -> Result<Vec<(Usage, u64)>> {
        let look = |it: &Observed<'_>| Ok((Usage::of(&it.running.process)?, it.proxy.answered_bytes()));
        processes.iter().map(look).collect()
    };
    let begun = Instant::now();
    let before = looks(processes)?;
    // Not a wait for something that will be so: what is measured is that nothing happens.
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
