//! How often the fault of a path has happened, for a limited number of paths.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

/// The last paths that were requested, by the hash of the path, with their counts.
pub(crate) struct SeenPaths(Mutex<LruCache<u64, u32>>);

impl SeenPaths {
    /// Holds up to `capacity` paths; the least recently requested one is evicted first.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(capacity)))
    }

    /// Counts a request for the path, and returns how many there were before.
    pub(crate) fn count(&self, path_hash: u64) -> u32 {
        let mut cache = self.0.lock();
        let before = cache.get(&path_hash).copied().unwrap_or(0);
        cache.put(path_hash, before.saturating_add(1));
        before
    }

    /// Returns how many requests for the path were counted.
    pub(crate) fn counted(&self, path_hash: u64) -> u32 {
        self.0.lock().peek(&path_hash).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_path_is_forgotten_when_the_memory_is_full() {
        let seen = SeenPaths::new(NonZeroUsize::MIN.saturating_add(1));
        assert_eq!(seen.counted(1), 0, "`counted` does not count");
        assert_eq!(seen.count(1), 0);
        assert_eq!(seen.count(1), 1);
        assert_eq!(seen.counted(1), 2);
        seen.count(2);
        seen.count(3);
        assert_eq!(seen.counted(1), 0, "1 was pushed out by 2 and 3");
    }
}
