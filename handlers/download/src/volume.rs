//! Pauses downloads while the cache volume is too full, and exports how full it is.

use xact_cache::Cache;
use xact_runtime::Unavailable;
use xact_telemetry::metrics::metrics;

use crate::WORKER;

/// Checks that the volume has room for another download.
///
/// # Errors
/// When it is too full, or cannot be read.
pub(crate) async fn check(cache: &Cache) -> Result<(), Unavailable> {
    let unavailable = |reason: String| Unavailable::new("cache volume", reason);
    let volume = cache.volume().await.map_err(|error| unavailable(error.to_string()))?;
    metrics().cache_used(WORKER).set(volume.used);
    volume.check(cache.path()).map_err(|full| unavailable(full.to_string()))
}
