//! Recently expanded events, so that a repeated event causes no work downstream.
//!
//! This is an optimization: an event that has left it is expanded again, and the tables deduplicate rows by key.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use parking_lot::Mutex;

/// Most events that are kept: about 5 MB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// How long an event counts as recent.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);

/// The fingerprints of recently expanded events.
pub(crate) struct RecentEvents(Mutex<LruCache<u128, Timestamp>>);

impl Default for RecentEvents {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl RecentEvents {
    /// Returns the fingerprint of an event: its trace id with its attachments. The same id with other attachments is another event.
    pub(crate) fn fingerprint(trace_id: &str, attachments: &[String]) -> u128 {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, trace_id, attachments).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        (half(0) << 64) | half(1)
    }

    /// Returns whether the event was expanded within the last 24 hours.
    pub(crate) fn contains(&self, fingerprint: u128, now: Timestamp) -> bool {
        let seen = self.0.lock().get(&fingerprint).copied();
        seen.is_some_and(|seen| now.duration_since(seen) < RETENTION)
    }

    /// Adds an expanded event.
    pub(crate) fn insert(&self, fingerprint: u128, now: Timestamp) {
        self.0.lock().put(fingerprint, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_kept_for_a_day() {
        let recent = RecentEvents::default();
        let now = Timestamp::UNIX_EPOCH;
        let event = RecentEvents::fingerprint("t", &["u".to_owned()]);
        assert!(!recent.contains(event, now));
        recent.insert(event, now);
        assert!(recent.contains(event, now));
        assert!(!recent.contains(event, now.checked_add(RETENTION).unwrap()));
        assert!(!recent.contains(RecentEvents::fingerprint("t", &["v".to_owned()]), now));
    }
}
