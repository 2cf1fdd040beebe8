//! Authorization failures. librdkafka reports one only once and never reports recovery, so the loop polls for it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::callbacks::Callbacks;

/// Interval of the checks whether access has been granted.
pub(super) const AUTHORIZATION_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// The broker denied access, and recovery has not been observed yet.
pub(super) struct AuthorizationFailure {
    error: String,
    next_check: Instant,
}

impl AuthorizationFailure {
    /// Reports a failure that the broker has just returned to health.
    pub(super) fn report(callbacks: &Callbacks, error: String) -> Self {
        callbacks.report_denied(&error);
        Self {
            error,
            next_check: Instant::now() + AUTHORIZATION_CHECK_INTERVAL,
        }
    }

    /// Checks at intervals whether access was granted. Until then the failure is reported again each time, because its text
    /// changes from "may not have propagated yet" to "is missing".
    pub(super) fn is_over(&mut self, client: &BaseConsumer<Callbacks>, request_timeout: Duration) -> bool {
        if Instant::now() < self.next_check {
            return false;
        }
        self.next_check = Instant::now() + AUTHORIZATION_CHECK_INTERVAL;
        let callbacks = client.context();
        let any_partition = callbacks.partitions.lock().keys().next().cloned();
        let is_over = match any_partition {
            Some((topic, partition)) => client.fetch_watermarks(&topic, partition, request_timeout).is_ok(),
            // librdkafka joins by itself once access is granted. The assignment may be empty.
            None => callbacks.joined.load(Ordering::Relaxed),
        };
        if is_over {
            callbacks.authorization.granted();
        } else {
            callbacks.report_denied(&self.error);
        }
        is_over
    }
}
