//! A circuit breaker per host: ten consecutive failures open it; after 30 s one request is admitted as a probe.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use xact_telemetry::metrics::metrics;

/// Consecutive failures that open a breaker.
pub(crate) const FAILURE_THRESHOLD: u32 = 10;

/// How long an open breaker admits no request.
const OPEN_DURATION: Duration = Duration::from_secs(30);

/// The breakers by host. The hosts are those of the allow-list, so there are few.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Default)]
struct Breaker {
    failures: u32,
    opened: Option<Instant>,
    /// Since when the probe of the half-open state is in flight.
    probing: Option<Instant>,
}

/// An admitted request. Its outcome is to be reported; a dropped one counts as undecided.
pub(crate) struct Attempt<'a> {
    breakers: &'a Breakers,
    host: String,
}

const CLOSED: i64 = 0;
const OPENED: i64 = 1;
const HALF_OPEN: i64 = 2;

impl Breakers {
    /// Admits a request to this host; `None` while the breaker is open.
    pub(crate) fn admit(&self, host: &str, now: Instant) -> Option<Attempt<'_>> {
        let mut hosts = self.0.lock();
        let breaker = hosts.entry(host.to_owned()).or_default();
        if let Some(opened) = breaker.opened {
            // A probe without an outcome (its task was cancelled) is given up after a while.
            let is_recent = |since: Instant| now.duration_since(since) < OPEN_DURATION;
            if is_recent(opened) || breaker.probing.is_some_and(is_recent) {
                return None;
            }
            breaker.probing = Some(now);
            state(host, HALF_OPEN);
        }
        Some(Attempt {
            breakers: self,
            host: host.to_owned(),
        })
    }
}

impl Attempt<'_> {
    /// Reports that the host responded.
    pub(crate) fn succeeded(self) {
        let mut hosts = self.breakers.0.lock();
        let breaker = hosts.entry(self.host.clone()).or_default();
        if breaker.opened.is_some() {
            tracing::info!(host = self.host, "circuit closed");
        }
        *breaker = Breaker::default();
        state(&self.host, CLOSED);
    }

    /// Reports that the host failed.
    pub(crate) fn failed(self, now: Instant) {
        metrics().breaker_failures(&self.host).inc();
        let mut hosts = self.breakers.0.lock();
        let breaker = hosts.entry(self.host.clone()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURE_THRESHOLD {
            if breaker.opened.is_none() {
                tracing::warn!(host = self.host, failures = breaker.failures, "circuit opened");
            }
            breaker.opened = Some(now);
            breaker.probing = None;
            state(&self.host, OPENED);
        }
    }

    /// Reports an outcome that does not depend on the host.
    pub(crate) fn undecided(self) {
        if let Some(breaker) = self.breakers.0.lock().get_mut(&self.host) {
            breaker.probing = None;
        }
    }
}

fn state(host: &str, state: i64) {
    metrics().breaker_state(host).set(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_open_a_breaker_and_one_probe_closes_it_or_opens_it_again() {
        let breakers = Breakers::default();
        let start = Instant::now();
        for _ in 0..FAILURE_THRESHOLD {
            breakers.admit("h", start).unwrap().failed(start);
        }
        assert!(breakers.admit("h", start).is_none());
        assert!(breakers.admit("other", start).is_some());
        let later = start + OPEN_DURATION;
        breakers.admit("h", later).unwrap().failed(later);
        assert!(breakers.admit("h", later).is_none());
        let later = later + OPEN_DURATION;
        let probe = breakers.admit("h", later).unwrap();
        assert!(breakers.admit("h", later).is_none(), "only one probe");
        probe.succeeded();
        assert!(breakers.admit("h", later).is_some());
        // A success between failures keeps it closed.
        for _ in 0..3 * FAILURE_THRESHOLD {
            breakers.admit("g", start).unwrap().failed(start);
            breakers.admit("g", start).unwrap().succeeded();
        }
        assert!(breakers.admit("g", start).is_some());
    }
}
