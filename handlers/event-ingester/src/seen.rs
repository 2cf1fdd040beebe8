//! Events that were expanded lately: a source that repeats itself costs nothing downstream.
//!
//! This only saves work. What it forgets is expanded again, and the tables' keys keep the rows single.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

/// About 5 MB.
const EVENTS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// How long an event counts as recent.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// Bounded memory of fingerprints.
pub(crate) struct Seen(Mutex<LruCache<u128, Timestamp>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(EVENTS)))
    }
}

impl Seen {
    /// The trace id together with the attachments: the same id with other attachments is expanded, not skipped.
    pub(crate) fn fingerprint(trace_id: &str, attachments: &[String]) -> u128 {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, trace_id, attachments).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        (half(0) << 64) | half(1)
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<u128, Timestamp>> {
        self.0.lock()
    }

    /// Whether it was expanded within the last 24 hours.
    pub(crate) fn contains(&self, fingerprint: u128, now: Timestamp) -> bool {
        self.cache()
            .get(&fingerprint)
            .is_some_and(|&seen| now.duration_since(seen) < RECENT)
    }

    /// Notes that it was expanded.
    pub(crate) fn insert(&self, fingerprint: u128, now: Timestamp) {
        self.cache().put(fingerprint, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_remembered_for_a_day() {
        let seen = Seen::default();
        let now = Timestamp::UNIX_EPOCH;
        let event = Seen::fingerprint("t", &["u".to_owned()]);
        assert!(!seen.contains(event, now));
        seen.insert(event, now);
        assert!(seen.contains(event, now));
        assert!(!seen.contains(event, now.checked_add(RECENT).unwrap()));
        assert!(!seen.contains(Seen::fingerprint("t", &["v".to_owned()]), now));
    }
}
