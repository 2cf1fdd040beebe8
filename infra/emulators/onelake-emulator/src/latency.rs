//! A delay of every answer, as the distance to a data centre adds it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The delay in whole milliseconds. Requests wait concurrently.
pub(crate) struct Latency(AtomicU64);

impl Latency {
    pub(crate) fn new(latency: Duration) -> Self {
        let this = Self(AtomicU64::default());
        this.set(latency);
        this
    }

    pub(crate) fn set(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    pub(crate) async fn wait(&self) {
        let latency = self.get();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }
}
