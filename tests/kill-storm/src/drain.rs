//! Waits until the pipeline has drained, as long as it makes progress.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{CACHE_RETENTION, Cluster};
use xact_testkit::Result;
use xact_testkit::command::lag;
use xact_testkit::failed;
use xact_testkit::groups::positions;
use xact_testkit::pipeline::files_below;
use xact_testkit::stages::STAGES;

/// Time without progress after which the pipeline counts as stalled. The longest wait within it is 30 s (an open circuit
/// breaker), and a rebalance after a killed broker takes about as long.
const STALL_TIMEOUT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// Waits until no group has lag.
pub fn wait(cluster: &mut Cluster) -> Result<()> {
    let mut before = BTreeMap::new();
    let mut last_progress = Instant::now();
    let mut quiet = 0;
    loop {
        thread::sleep(POLL_INTERVAL);
        cluster.watch()?;
        let now = match lags(cluster) {
            Ok(now) => now,
            // A broker that has just been restarted may not know the leaders of its partitions yet.
            Err(error) if last_progress.elapsed() > STALL_TIMEOUT => return Err(error),
            Err(_) => continue,
        };
        // Two polls in a row: a retry may have returned a message to a topic whose lag was read before.
        quiet = if now.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 {
            return Ok(());
        }
        if now != before {
            last_progress = Instant::now();
            println!("draining: {}", text(&now));
        }
        if last_progress.elapsed() > STALL_TIMEOUT {
            let what = format!("no progress for {} s: {}", STALL_TIMEOUT.as_secs(), text(&now));
            return Err(failed(what, cluster.readiness().join("\n")));
        }
        before = now;
    }
}

/// Returns the lag by group and topic, without those that have none.
fn lags(cluster: &Cluster) -> Result<BTreeMap<String, u64>> {
    let mut sums = BTreeMap::new();
    for (group, topic, lag) in lag(cluster.environment(), &cluster.dir)? {
        *sums.entry(format!("{group} {topic}")).or_default() += lag;
    }
    sums.retain(|_, lag| *lag > 0);
    Ok(sums)
}

fn text(lags: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = lags.iter().map(|(name, lag)| format!("{name} {lag}")).collect();
    parts.join(", ")
}

/// Returns the files that are still in the cache after the janitor has had time to delete files of killed processes that no
/// message refers to.
pub fn left_in_cache(cluster: &mut Cluster) -> Result<Vec<PathBuf>> {
    let cache = cluster.dir.join("cache");
    let deadline = Instant::now() + 3 * CACHE_RETENTION;
    let found = files_below(&cache).len();
    loop {
        let left = files_below(&cache);
        if left.is_empty() || Instant::now() > deadline {
            if found > 0 {
                println!("cache: {found} files were left for the janitor, {} remain", left.len());
            }
            return Ok(left);
        }
        cluster.watch()?;
        thread::sleep(POLL_INTERVAL);
    }
}

/// Returns the total lag of all groups as reported by Kafka's own tool.
pub fn lag_by_kafka(cluster: &Cluster) -> Result<u64> {
    let groups = positions(cluster.kafka())?;
    if groups.len() < STAGES.len() {
        return Err(failed("Kafka's tool does not report all groups", format!("{groups:?}")));
    }
    Ok(groups.values().map(|(_, lag)| lag).sum())
}
