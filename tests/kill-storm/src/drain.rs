//! Until nothing is left to do: as long as something moves it is waited for, and no longer.

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

/// Without any movement for so long, nothing will come any more: the longest wait within the pipeline is a breaker's
/// 30 s, and a rebalance after a killed broker takes about as long.
const STILL: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_secs(3);

/// Waits until no group has lag.
///
/// # Errors
/// When nothing moved for long: with the lags and every process's readiness.
pub fn wait(cluster: &mut Cluster) -> Result<()> {
    let mut before = BTreeMap::new();
    let mut moved = Instant::now();
    let mut quiet = 0;
    loop {
        thread::sleep(LOOK);
        cluster.watch()?;
        let now = match lags(cluster) {
            Ok(now) => now,
            // A broker that has just come back may not know its partitions' leader yet.
            Err(error) if moved.elapsed() > STILL => return Err(error),
            Err(_) => continue,
        };
        // Two looks in a row: what a retry has just given back is behind the first.
        quiet = if now.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 {
            return Ok(());
        }
        if now != before {
            moved = Instant::now();
            println!("draining: {}", text(&now));
        }
        if moved.elapsed() > STILL {
            let what = format!("nothing moved for {} s: {}", STILL.as_secs(), text(&now));
            return Err(failed(what, cluster.readiness().join("\n")));
        }
        before = now;
    }
}

/// Lag by group and topic, where there is some.
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

/// Files that are left in the cache once the janitor has had its time: it takes what a killed process left and no
/// message waits for.
///
/// # Errors
/// When a process cannot be watched.
pub fn left_in_cache(cluster: &mut Cluster) -> Result<Vec<PathBuf>> {
    let cache = cluster.dir.join("cache");
    let deadline = Instant::now() + 3 * CACHE_RETENTION;
    let found = files_below(&cache).len();
    loop {
        let left = files_below(&cache);
        if left.is_empty() || Instant::now() > deadline {
            if found > 0 {
                println!(
                    "cache: {found} files were there for the janitor, {} are left",
                    left.len()
                );
            }
            return Ok(left);
        }
        cluster.watch()?;
        thread::sleep(LOOK);
    }
}

/// Messages that no group has finished, as Kafka's own tool counts them.
///
/// # Errors
/// When the tool fails or knows no group.
pub fn lag_by_kafka(cluster: &Cluster) -> Result<u64> {
    let groups = positions(cluster.kafka())?;
    match groups.len() < STAGES.len() {
        true => Err(failed("Kafka's tool does not show all groups", format!("{groups:?}"))),
        false => Ok(groups.values().map(|(_, lag)| lag).sum()),
    }
}
