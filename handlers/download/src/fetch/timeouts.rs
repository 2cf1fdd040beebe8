//! How long a server may take.

use std::time::Duration;

/// Timeouts of one download.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Name resolution, TCP and TLS together.
    pub(super) connect: Duration,
    /// Between two pieces of a response.
    pub(super) idle: Duration,
    /// Until the headers of the response after the last redirect. The body may take as long again, plus the time that
    /// its bytes take at `min_rate`.
    pub(super) base: Duration,
    /// Bytes per second.
    pub(super) min_rate: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            base: Duration::from_secs(120),
            min_rate: 64 * 1024,
        }
    }
}

impl Timeouts {
    /// Returns the longest time that a body of this size may take.
    pub(super) fn of_body(&self, bytes: u64) -> Duration {
        self.base + Duration::from_secs(bytes / self.min_rate)
    }
}
