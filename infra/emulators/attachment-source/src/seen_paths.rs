//! How often a path had its passing fault already: a bounded memory, so that a storm of unique paths cannot fill the process.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

/// The last paths seen, by the hash of the path, and how often.
pub(crate) struct SeenPaths(Mutex<LruCache<u64, u32>>);

impl SeenPaths {
    /// A memory for `capacity` paths; the one seen longest ago is forgotten first.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(capacity)))
    }

    /// How often the path was seen before, and counts this time.
    pub(crate) fn count(&self, path_hash: u64) -> u32 {
        let mut cache = self.cache();
        let before = cache.get(&path_hash).copied().unwrap_or(0);
        cache.put(path_hash, before.saturating_add(1));
        before
    }

    /// How often the path was seen before.
    pub(crate) fn counted(&self, path_hash: u64) -> u32 {
        self.cache().peek(&path_hash).copied().unwrap_or(0)
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<u64, u32>> {
        // A panic elsewhere leaves the cache whole: every change to it is one call.
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_path_is_forgotten_when_the_memory_is_full() {
        let seen = SeenPaths::new(NonZeroUsize::MIN.saturating_add(1));
        assert_eq!(seen.counted(1), 0, "looking alone counts nothing");
        assert_eq!(seen.count(1), 0);
        assert_eq!(seen.count(1), 1);
        assert_eq!(seen.counted(1), 2);
        seen.count(2);
        seen.count(3);
        assert_eq!(seen.counted(1), 0, "1 was pushed out by 2 and 3");
    }
}
