//! Bloom filters of data files, in a cache with a limit in bytes. A data file never changes, so an entry is never stale.

use std::sync::Arc;

use deltalake::parquet::bloom_filter::Sbbf;

use crate::tables::byte_lru::ByteLru;
use crate::tables::read::key_filter::{KeyFilter, KeyHash};

/// A block of a split-block bloom filter: eight 32-bit words.
const BLOCK_BYTES: usize = 32;

/// The filters of one file.
pub(crate) enum FileFilters {
    /// Read from the file, one for each row group. `None`: the row group has no filter, and its column must be read.
    OfRowGroups(Vec<Option<Sbbf>>),
    /// Of all keys in the file, built by the process that wrote it.
    OfFile(KeyFilter),
}

/// Where in a file the wanted keys may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// In these row groups. Empty: nowhere.
    RowGroups(Vec<usize>),
    /// Anywhere in the file.
    File,
}

impl FileFilters {
    /// Builds the filter of a file that this process has written.
    pub(crate) fn of_keys<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Self {
        Self::OfFile(KeyFilter::of(ids))
    }

    /// Returns where any of the ids may be. `hashes` are those of the ids.
    pub(crate) fn candidates<'a>(
        &self,
        ids: &(impl Iterator<Item = &'a str> + Clone),
        hashes: &[KeyHash],
    ) -> Candidates {
        match self {
            Self::OfFile(filter) if hashes.iter().any(|hash| filter.may_have(*hash)) => Candidates::File,
            Self::OfFile(_) => Candidates::RowGroups(Vec::new()),
            Self::OfRowGroups(filters) => {
                let may_have = |filter: &Sbbf| ids.clone().any(|id| filter.check(id));
                let matching = filters.iter().enumerate();
                let matching = matching.filter(|(_, filter)| filter.as_ref().is_none_or(may_have));
                Candidates::RowGroups(matching.map(|(row_group, _)| row_group).collect())
            }
        }
    }

    fn bytes(&self) -> usize {
        let of = |filter: &Sbbf| filter.num_blocks() * BLOCK_BYTES + size_of::<Sbbf>();
        match self {
            Self::OfFile(filter) => filter.bytes(),
            Self::OfRowGroups(filters) => filters.iter().map(|filter| filter.as_ref().map_or(8, of)).sum(),
        }
    }
}

/// Filters by file.
pub(crate) struct FilterCache(ByteLru<Arc<FileFilters>>);

impl FilterCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(ByteLru::new(capacity))
    }

    pub(crate) fn get(&self, file: &str) -> Option<Arc<FileFilters>> {
        self.0.get(file)
    }

    pub(crate) fn put(&self, file: &str, filters: Arc<FileFilters>) {
        let bytes = filters.bytes();
        self.0.put(file, filters, bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn candidates(filters: &FileFilters, ids: &[&str]) -> Candidates {
        let hashes: Vec<KeyHash> = ids.iter().map(|id| KeyHash::of(id)).collect();
        filters.candidates(&ids.iter().copied(), &hashes)
    }

    #[test]
    fn a_filter_matches_its_own_keys_and_excludes_others() {
        let filters = FileFilters::of_keys(["a", "b"].into_iter());
        assert_eq!(candidates(&filters, &["x", "b"]), Candidates::File);
        let nowhere = Candidates::RowGroups(vec![]);
        assert_eq!(candidates(&filters, &["x", "y"]), nowhere);
    }

    #[test]
    fn a_row_group_without_a_filter_is_always_read() {
        let mut filter = Sbbf::new_with_ndv_fpp(1, 1e-6).unwrap();
        filter.insert("a");
        let filters = FileFilters::OfRowGroups(vec![Some(filter), None]);
        assert_eq!(candidates(&filters, &["x"]), Candidates::RowGroups(vec![1]));
        assert_eq!(candidates(&filters, &["a"]), Candidates::RowGroups(vec![0, 1]));
    }
}
