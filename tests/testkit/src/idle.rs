//! Measures what processes cost while they are idle.

use std::thread;
use std::time::{Duration, Instant};

use crate::kafka::Proxy;
use crate::{Fleet, Kafka, Result, Usage, failed, stages};

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

/// Starts a process of every stage of a fleet and observes all of them for a while. All Kafka clients of a process connect
/// through a proxy of its own, which counts what they receive.
pub fn observe(kafka: &Kafka, fleet: &mut Fleet, during: Duration) -> Result<Vec<Cost>> {
    let mut proxies = Vec::new();
    for stage in stages::names() {
        let proxy = kafka.proxy()?;
        fleet.spawn(stage, stage, &[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", &proxy.address())])?;
        proxies.push((stage, proxy));
    }
    fleet.wait_ready(&stages::names())?;
    let totals = || -> Result<Vec<(Usage, u64)>> {
        let total = |(stage, proxy): &(&str, Proxy)| Ok((Usage::of(&fleet[stage].process)?, proxy.answered_bytes()));
        proxies.iter().map(total).collect()
    };
    let begun = Instant::now();
    let before = totals()?;
    // A fixed time instead of a condition: the measurement is of a period in which nothing happens.
    thread::sleep(during);
    let after = totals()?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut costs = Vec::new();
    for (((usage_before, bytes_before), (usage, bytes)), (stage, _)) in before.into_iter().zip(after).zip(&proxies) {
        let used = usage.since(&usage_before);
        let received = bytes.saturating_sub(bytes_before);
        if received == 0 {
            let detail = "is it connected through its proxy?";
            return Err(failed(format!("{stage} has received nothing"), detail));
        }
        #[allow(clippy::cast_precision_loss)]
        costs.push(Cost {
            name: (*stage).to_owned(),
            cores: used.run_time.as_secs_f64() / seconds,
            received: received as f64 / seconds,
            wake_ups: used.wake_ups as f64 / seconds,
        });
    }
    Ok(costs)
}
