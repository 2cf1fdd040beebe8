//! The partition of a key, as Kafka's Java clients and librdkafka's `murmur2` partitioners choose it.
//!
//! All messages of an event have its trace id as their key, so they are in one partition of each topic: a look-up by trace id
//! reads that partition alone.

/// The seed of `org.apache.kafka.common.utils.Utils.murmur2`:
/// <https://github.com/apache/kafka/blob/4.1.0/clients/src/main/java/org/apache/kafka/common/utils/Utils.java>.
const SEED: u32 = 0x9747_b28c;
/// The multiplier of MurmurHash2.
const MULTIPLIER: u32 = 0x5bd1_e995;

/// Returns the partition of a key in a topic with this number of partitions; `None` for a topic without partitions.
#[must_use]
pub fn partition_of(key: &[u8], partitions: usize) -> Option<i32> {
    let partitions = i32::try_from(partitions).ok().filter(|count| *count > 0)?;
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    Some(positive % partitions)
}

/// Returns the MurmurHash2 of the bytes, with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    // The length of a key is that of a Java array: below 2^31.
    #[expect(clippy::cast_possible_truncation, reason = "as in the reference")]
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut word = word.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        word = word.wrapping_mul(MULTIPLIER);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's `UtilsTest.testMurmur2`:
    /// <https://github.com/apache/kafka/blob/4.1.0/clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java>.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let cases: [(&[u8], i32); 8] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (&[12, 42, 56, 24, 109, 111], 274_204_207),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key).cast_signed(), expected, "{key:?}");
        }
    }

    #[test]
    fn a_partition_is_the_remainder_of_the_positive_hash() {
        // 1357151166, which is -790332482 without its sign bit.
        assert_eq!(partition_of(b"foobar", 6), Some(0));
        assert_eq!(partition_of(b"foobar", 10), Some(6));
        assert_eq!(partition_of(b"foobar", 1), Some(0));
        assert_eq!(partition_of(b"foobar", 0), None);
    }
}
