//! Bloom filters of data files, kept within a number of bytes. A data file never changes, so an entry is never stale.

use std::sync::Arc;

use deltalake::parquet::bloom_filter::Sbbf;

use crate::tables::byte_lru::ByteLru;

/// A block of a split-block bloom filter: eight 32-bit words.
const BLOCK_BYTES: usize = 32;

/// The filters of one file.
pub(crate) enum FileFilters {
    /// As read from the file, one for each row group; `None` where there is none and the column must be read.
    OfRowGroups(Vec<Option<Sbbf>>),
    /// Of all keys in the file, made by the process that wrote it.
    OfFile(Sbbf),
}

/// Where the wanted keys may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Suspects {
    /// In these row groups; if none, nowhere.
    RowGroups(Vec<usize>),
    /// Anywhere in the file.
    File,
}

impl FileFilters {
    /// A filter of the keys that a file of this process holds.
    pub(crate) fn of_keys<'a>(ids: impl ExactSizeIterator<Item = &'a str>, false_positives: f64) -> Option<Self> {
        let mut filter = Sbbf::new_with_ndv_fpp(ids.len().max(1) as u64, false_positives).ok()?;
        ids.for_each(|id| filter.insert(id));
        Some(Self::OfFile(filter))
    }

    /// Where any of the ids may be.
    pub(crate) fn suspects<'a>(&self, mut ids: impl Iterator<Item = &'a str> + Clone) -> Suspects {
        match self {
            Self::OfFile(filter) => match ids.any(|id| filter.check(id)) {
                true => Suspects::File,
                false => Suspects::RowGroups(Vec::new()),
            },
            Self::OfRowGroups(filters) => Suspects::RowGroups(
                filters
                    .iter()
                    .enumerate()
                    .filter(|(_, filter)| {
                        filter
                            .as_ref()
                            .is_none_or(|filter| ids.clone().any(|id| filter.check(id)))
                    })
                    .map(|(row_group, _)| row_group)
                    .collect(),
            ),
        }
    }

    fn bytes(&self) -> usize {
        let of = |filter: &Sbbf| filter.num_blocks() * BLOCK_BYTES + size_of::<Sbbf>();
        match self {
            Self::OfFile(filter) => of(filter),
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

    #[test]
    fn a_filter_of_own_keys_finds_them_and_rules_others_out() {
        let filters = FileFilters::of_keys(["a", "b"].into_iter(), 1e-6).unwrap();
        assert_eq!(filters.suspects(["x", "b"].into_iter()), Suspects::File);
        assert_eq!(filters.suspects(["x", "y"].into_iter()), Suspects::RowGroups(vec![]));
    }

    #[test]
    fn a_row_group_without_a_filter_is_always_read() {
        let FileFilters::OfFile(filter) = FileFilters::of_keys(["a"].into_iter(), 1e-6).unwrap() else {
            panic!("of the file");
        };
        let filters = FileFilters::OfRowGroups(vec![Some(filter), None]);
        assert_eq!(filters.suspects(["x"].into_iter()), Suspects::RowGroups(vec![1]));
        assert_eq!(filters.suspects(["a"].into_iter()), Suspects::RowGroups(vec![0, 1]));
    }
}
