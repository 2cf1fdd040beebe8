//! A cache with a limit in bytes; the least recently used entries are dropped first.

use lru::LruCache;
use parking_lot::Mutex;

/// Memory of an entry in addition to its value: key, pointers, the map's node.
const ENTRY_BYTES: usize = 256;

/// Values by name. Values must be cheap to clone.
pub(crate) struct ByteLru<V> {
    capacity: usize,
    entries: Mutex<Entries<V>>,
}

struct Entries<V> {
    by_name: LruCache<String, (V, usize)>,
    bytes: usize,
}

impl<V: Clone> ByteLru<V> {
    /// Returns a cache of at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::new(Entries {
                by_name: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<V> {
        self.entries.lock().by_name.get(name).map(|(value, _)| value.clone())
    }

    /// Adds or replaces an entry of `bytes` bytes. An entry larger than the cache is not kept.
    pub(crate) fn put(&self, name: &str, value: V, bytes: usize) {
        let bytes = bytes + ENTRY_BYTES;
        if bytes > self.capacity {
            return self.remove(name);
        }
        let mut entries = self.entries.lock();
        if let Some((_, (_, replaced))) = entries.by_name.push(name.to_owned(), (value, bytes)) {
            entries.bytes -= replaced;
        }
        entries.bytes += bytes;
        while entries.bytes > self.capacity {
            match entries.by_name.pop_lru() {
                Some((_, (_, dropped))) => entries.bytes -= dropped,
                None => break,
            }
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut entries = self.entries.lock();
        if let Some((_, removed)) = entries.by_name.pop(name) {
            entries.bytes -= removed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: usize = 1024;

    fn cache(entries: usize) -> ByteLru<u8> {
        ByteLru::new(entries * (ENTRY + ENTRY_BYTES))
    }

    #[test]
    fn the_least_recently_used_entries_are_dropped_at_the_limit() {
        let cache = cache(2);
        cache.put("a", 1, ENTRY);
        cache.put("b", 2, ENTRY);
        assert_eq!(cache.get("a"), Some(1));
        cache.put("c", 3, ENTRY);
        assert_eq!(["a", "b", "c"].map(|name| cache.get(name)), [Some(1), None, Some(3)]);
        assert_eq!(cache.entries.lock().bytes, cache.capacity);
    }

    #[test]
    fn a_replaced_or_removed_entry_is_not_counted() {
        let cache = cache(8);
        cache.put("a", 1, ENTRY);
        cache.put("a", 2, 2 * ENTRY);
        assert_eq!(
            (cache.get("a"), cache.entries.lock().bytes),
            (Some(2), 2 * ENTRY + ENTRY_BYTES)
        );
        cache.remove("a");
        assert_eq!((cache.get("a"), cache.entries.lock().bytes), (None, 0));
    }

    #[test]
    fn an_entry_larger_than_the_cache_is_not_kept() {
        let cache = cache(1);
        cache.put("a", 1, 1);
        cache.put("a", 2, 2 * ENTRY);
        assert_eq!((cache.get("a"), cache.entries.lock().bytes), (None, 0));
    }
}
