//! The janitor: removes cache files that no message waits for.
//!
//! A file goes when it is older than `CACHE_RETENTION_SECONDS` (a day) *and* older than the oldest message that the
//! upload group has not finished. However long OneLake is away, no file that is still to be uploaded is lost to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use xact_cache::{Cache, ClearBefore};
use xact_config::Settings;
use xact_contracts::topology::Stage;
use xact_kafka::admin::topics::{Oldest, oldest_unfinished};

/// Between two rounds: a quarter of the retention, and within these.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(3600);
/// No download goes so long without a write: its part was left by a killed process.
const PART_RETENTION: Duration = Duration::from_secs(3600);

/// Clears the cache folder now and then.
pub(crate) struct Janitor {
    settings: Settings,
    cache: Arc<Cache>,
}

impl Janitor {
    pub(crate) fn new(settings: Settings, cache: Arc<Cache>) -> Self {
        Self { settings, cache }
    }

    /// Rounds until dropped.
    pub(crate) async fn run(&self) {
        loop {
            tokio::time::sleep((self.settings.cache_retention / 4).clamp(OFTEN, SELDOM)).await;
            let (settings, cache) = (self.settings.clone(), Arc::clone(&self.cache));
            let round = tokio::task::spawn_blocking(move || {
                // Without the broker's word nothing is removed.
                let oldest = oldest_unfinished(&settings, Stage::Upload)?;
                let now = Timestamp::now();
                let before = ClearBefore {
                    cached: limit(&oldest, settings.cache_retention, now),
                    // No message waits for a part.
                    parts: before(now, settings.cache_retention.min(PART_RETENTION)),
                };
                Ok::<_, xact_kafka::admin::AdminError>(cache.clear(before))
            });
            match round.await {
                Ok(Ok(0)) => {}
                Ok(Ok(removed)) => tracing::info!(removed, "cache files that no message waits for were removed"),
                Ok(Err(error)) => tracing::warn!(%error, "the cache is not cleared this time"),
                Err(error) => tracing::warn!(%error, "the cache is not cleared this time"),
            }
        }
    }
}

/// Files last written before this may go. Younger ones are left alone: their message may not be on its topic yet.
fn limit(oldest: &Oldest, retention: Duration, now: Timestamp) -> Timestamp {
    match oldest {
        Oldest::NothingWaits => before(now, retention),
        // A margin: the file was complete shortly before its message was written.
        Oldest::Since(timestamp) => before(*timestamp, retention).min(before(now, retention)),
        Oldest::Unknown => Timestamp::MIN,
    }
}

fn before(timestamp: Timestamp, retention: Duration) -> Timestamp {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    timestamp.checked_sub(retention).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2025-06-10T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_waits_for_upload_is_never_removed_however_old() {
        let waiting: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let limit = |oldest| limit(&oldest, day, now());
        assert_eq!(limit(Oldest::NothingWaits), "2025-06-09T00:00:00Z".parse().unwrap());
        assert!(limit(Oldest::Since(waiting)) < waiting);
        assert_eq!(limit(Oldest::Unknown), Timestamp::MIN);
        assert_eq!(limit(Oldest::Since(now())), "2025-06-09T00:00:00Z".parse().unwrap());
    }
}
