//! Pauses downloads while the cache volume is too full, and shows how full it is.

use crate::WORKER;
use xact_cache::Cache;
use xact_runtime::Unavailable;
use xact_telemetry::metrics::metrics;

/// Refuses while the volume is too full.
///
/// # Errors
/// With how full it is, or why that cannot be said.
pub(crate) async fn check(cache: &Cache) -> Result<(), Unavailable> {
    let unavailable = |reason: String| Unavailable::new("cache volume", reason);
    let volume = cache.volume().await.map_err(|error| unavailable(error.to_string()))?;
    metrics().cache_used(WORKER).set(volume.used);
    volume.check(cache.path()).map_err(|full| unavailable(full.to_string()))
}
