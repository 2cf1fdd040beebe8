//! Which paths had their `…-once` fault already: a bounded memory, so that a storm of unique paths cannot fill the process.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// The last paths seen, by the hash of the path.
pub(crate) struct SeenPaths(Mutex<LruCache<u64, ()>>);

impl SeenPaths {
    /// A memory for `capacity` paths; the one seen longest ago is forgotten first.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(capacity)))
    }

    /// Whether the path was seen before, and remembers that it is now.
    pub(crate) fn check_and_remember(&self, path_hash: u64) -> bool {
        self.cache().put(path_hash, ()).is_some()
    }

    /// Whether the path was seen before.
    pub(crate) fn check(&self, path_hash: u64) -> bool {
        self.cache().contains(&path_hash)
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<u64, ()>> {
        // A panic elsewhere leaves the cache whole: every change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_path_is_forgotten_when_the_memory_is_full() {
        let seen = SeenPaths::new(NonZeroUsize::MIN.saturating_add(1));
        assert!(!seen.check(1), "checking alone remembers nothing");
        assert!(!seen.check_and_remember(1));
        assert!(seen.check_and_remember(1));
        assert!(!seen.check_and_remember(2));
        assert!(!seen.check_and_remember(3));
        assert!(!seen.check(1), "1 was pushed out by 2 and 3");
    }
}
