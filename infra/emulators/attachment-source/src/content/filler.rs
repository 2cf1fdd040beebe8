//! Filler: the bytes that bring a file to its size. It is cheap (slices of one text), and no two blocks are the same.
//!
//! Filler is a row of 64 KiB blocks. All blocks have the same text, and each begins with a stamp: the hash of the path and
//! the number of the block.

use std::sync::LazyLock;

use bytes::Bytes;

/// The length of a block in bytes.
const BLOCK_BYTES: usize = 64 * 1024;

/// Random letters and spaces, which need no escape in any text format.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut random = 0x5EED_u32;
    let letters = (0..BLOCK_BYTES).map(|_| {
        // The generator of Numerical Recipes; only its high bits are random.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu cmfwyp vbgkqj xz e"[(random >> 27) as usize]
    });
    letters.collect()
});

/// Returns `bytes` of filler for the path with this hash, in chunks of at most a block.
pub(super) fn chunks(hash: u64, bytes: u64) -> impl Iterator<Item = Bytes> + Send {
    let block = BLOCK_BYTES as u64;
    (0..bytes.div_ceil(block)).flat_map(move |number| {
        let length = (bytes - number * block).min(block) as usize;
        let mut stamp = format!(" {hash:016x} {number:08x} ").into_bytes();
        stamp.truncate(length);
        let rest = TEXT.slice(stamp.len()..length);
        [stamp.into(), rest]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filler(hash: u64, bytes: u64) -> Vec<u8> {
        chunks(hash, bytes).flatten().collect()
    }

    #[test]
    fn filler_has_the_requested_length() {
        let block = BLOCK_BYTES as u64;
        for bytes in [0, 4, 27, 28, 300, block - 1, block, block + 5, 3 * block + 777] {
            assert_eq!(filler(42, bytes).len() as u64, bytes);
        }
    }

    #[test]
    fn no_two_blocks_and_no_two_paths_have_the_same_filler() {
        let one = filler(1, 2 * BLOCK_BYTES as u64);
        let (first, second) = one.split_at(BLOCK_BYTES);
        assert_ne!(first, second);
        assert_ne!(one, filler(2, 2 * BLOCK_BYTES as u64));
    }
}
