//! The janitor of the upload stage: removes orphaned cache files at regular intervals.
//!
//! A file is removed when it is older than `CACHE_RETENTION_SECONDS` (a day) *and* older than the oldest message that the
//! upload group has not processed. A file that still has to be uploaded is kept, however long OneLake is unavailable.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use xact_cache::{Cache, Cutoffs};
use xact_config::Settings;
use xact_contracts::topology::Stage;
use xact_kafka::admin::{AdminError, Oldest, oldest_unfinished};

/// The time between two sweeps is a quarter of the retention, within these bounds.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_secs(5);
const MAX_SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Sweeps the cache folder at regular intervals.
pub(crate) struct Janitor {
    settings: Settings,
    cache: Arc<Cache>,
}

impl Janitor {
    pub(crate) fn new(settings: Settings, cache: Arc<Cache>) -> Self {
        Self { settings, cache }
    }

    /// Sweeps until it is dropped.
    pub(crate) async fn run(&self) {
        let interval = (self.settings.cache_retention / 4).clamp(MIN_SWEEP_INTERVAL, MAX_SWEEP_INTERVAL);
        loop {
            tokio::time::sleep(interval).await;
            let (settings, cache) = (self.settings.clone(), Arc::clone(&self.cache));
            match tokio::task::spawn_blocking(move || sweep(&settings, &cache)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(removed)) => tracing::info!(removed, "removed orphaned cache files"),
                Ok(Err(error)) => tracing::warn!(%error, "the cache is not swept this time"),
                Err(error) => tracing::warn!(%error, "the cache is not swept this time"),
            }
        }
    }
}

/// Removes nothing when the broker does not say which messages are unprocessed.
fn sweep(settings: &Settings, cache: &Cache) -> Result<usize, AdminError> {
    let now = Timestamp::now();
    let oldest_message = match oldest_unfinished(settings, Stage::Upload)? {
        Oldest::NothingWaits => now,
        Oldest::Since(timestamp) => timestamp,
        Oldest::Unknown => Timestamp::MIN,
    };
    Ok(cache.remove_orphans(Cutoffs::new(settings.cache_retention, oldest_message, now)))
}
