//! Bloom filters of data files, kept within a number of bytes; the least recently used go first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deltalake::parquet::bloom_filter::Sbbf;
use lru::LruCache;

/// What an entry costs besides its filters: path, pointers, the map's node.
const ENTRY_BYTES: usize = 256;
/// A block of a split-block bloom filter: eight 32-bit words.
const BLOCK_BYTES: usize = 32;

/// The filters of one file, one for each row group; `None` where the file has none and the column must be read.
pub(crate) struct FileFilters(pub(crate) Vec<Option<Sbbf>>);

impl FileFilters {
    fn bytes(&self) -> usize {
        let filters: usize = self
            .0
            .iter()
            .flatten()
            .map(|filter| filter.num_blocks() * BLOCK_BYTES)
            .sum();
        filters + self.0.len() * size_of::<Option<Sbbf>>() + ENTRY_BYTES
    }
}

/// Filters by file. A data file never changes, so an entry is never stale.
pub(crate) struct FilterCache {
    capacity: usize,
    entries: Mutex<Entries>,
}

struct Entries {
    by_file: LruCache<String, Arc<FileFilters>>,
    bytes: usize,
}

impl FilterCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::new(Entries {
                by_file: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(crate) fn get(&self, file: &str) -> Option<Arc<FileFilters>> {
        self.lock().by_file.get(file).cloned()
    }

    pub(crate) fn put(&self, file: &str, filters: Arc<FileFilters>) {
        let bytes = filters.bytes();
        if bytes > self.capacity {
            return;
        }
        let mut entries = self.lock();
        if let Some((_, replaced)) = entries.by_file.push(file.to_owned(), filters) {
            entries.bytes -= replaced.bytes();
        }
        entries.bytes += bytes;
        while entries.bytes > self.capacity {
            match entries.by_file.pop_lru() {
                Some((_, dropped)) => entries.bytes -= dropped.bytes(),
                None => break,
            }
        }
    }

    /// A panic elsewhere leaves the cache whole: each change is complete when the lock is released.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn filters(bytes: usize) -> Arc<FileFilters> {
        Arc::new(FileFilters(vec![Some(Sbbf::new_with_num_of_bytes(bytes))]))
    }

    #[test]
    fn the_least_recently_used_go_when_the_bytes_are_spent() {
        let one = filters(1024).bytes();
        let cache = FilterCache::new(2 * one);
        cache.put("a", filters(1024));
        cache.put("b", filters(1024));
        assert!(cache.get("a").is_some());
        cache.put("c", filters(1024));
        assert!(cache.get("b").is_none() && cache.get("a").is_some() && cache.get("c").is_some());
        assert_eq!(cache.lock().bytes, 2 * one);
    }

    #[test]
    fn putting_the_same_file_twice_counts_it_once() {
        let cache = FilterCache::new(1 << 20);
        cache.put("a", filters(1024));
        cache.put("a", filters(2048));
        assert_eq!(cache.lock().bytes, filters(2048).bytes());
    }

    #[test]
    fn a_filter_bigger_than_the_cache_is_not_kept() {
        let cache = FilterCache::new(1024);
        cache.put("a", filters(4096));
        assert!(cache.get("a").is_none());
        assert_eq!(cache.lock().bytes, 0);
    }
}
