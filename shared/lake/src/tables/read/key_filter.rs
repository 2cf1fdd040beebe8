//! A bloom filter of keys in memory, of the split-block kind that parquet files have.
//!
//! A look-up checks the same keys against the filter of every file of their date. Here the keys are hashed once for all of
//! them; the filters of the parquet crate hash a key at each check, and their size is rounded up to a power of two.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Bits for each key: about one false positive in a million checks.
const BITS_OF_KEY: usize = 41;
/// A block: a key has one bit in each of its words.
type Block = [u32; 8];
/// Odd numbers that choose the bit in each word, as in the specification of parquet's filters
/// (<https://parquet.apache.org/docs/file-format/bloomfilter/>).
const SALTS: Block = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The hash of a key's id: the same for all filters of this process.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(id: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the block of this key among `blocks`, from the upper half of the hash.
    fn block(self, blocks: usize) -> usize {
        let at = (u128::from(self.0 >> 32) * blocks as u128) >> 32;
        usize::try_from(at).unwrap_or(0)
    }

    /// Returns the bits of this key in its block, from the lower half of the hash.
    fn bits(self) -> Block {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let lower = self.0 as u32;
        SALTS.map(|salt| 1 << (lower.wrapping_mul(salt) >> 27))
    }
}

/// The keys of one file.
pub(crate) struct KeyFilter(Vec<Block>);

impl KeyFilter {
    pub(crate) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let blocks = (ids.len() * BITS_OF_KEY).div_ceil(Block::default().len() * 32);
        let mut filter = vec![Block::default(); blocks.max(1)];
        for hash in ids.map(KeyHash::of) {
            let at = hash.block(filter.len());
            if let Some(block) = filter.get_mut(at) {
                for (word, bit) in block.iter_mut().zip(hash.bits()) {
                    *word |= bit;
                }
            }
        }
        Self(filter)
    }

    /// Returns whether the file may have this key. `false` is certain.
    pub(crate) fn may_have(&self, hash: KeyHash) -> bool {
        let block = self.0.get(hash.block(self.0.len()));
        block.is_some_and(|block| block.iter().zip(hash.bits()).all(|(word, bit)| word & bit != 0))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * size_of::<Block>() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{prefix}-{number}")).collect()
    }

    #[test]
    fn a_filter_has_all_of_its_keys_and_almost_no_others() {
        for count in [0, 1, 7, 2000, 65_536] {
            let own = ids("own", count);
            let filter = KeyFilter::of(own.iter().map(String::as_str));
            assert!(own.iter().all(|id| filter.may_have(KeyHash::of(id))), "{count}");
            let others = ids("other", 200_000);
            let positives = others.iter().filter(|id| filter.may_have(KeyHash::of(id))).count();
            assert!(positives <= 5, "{count} keys: {positives} false positives");
            assert!(
                filter.bytes() <= count * 6 + 64,
                "{count} keys: {} bytes",
                filter.bytes()
            );
        }
    }
}
