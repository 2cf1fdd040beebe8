//! Filler: the bytes that bring a file to its size. Cheap (shared text, copied or sliced), yet no two blocks alike.
//!
//! Filler is a row of 64 KiB blocks. The text of a block is shared by all files; its first cell is a stamp of the
//! path's hash and the block's number. CRCs of any length are put together from those of the shared text.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use crc32fast::Hasher;

/// The length of a block in bytes.
pub(super) const BLOCK: u64 = 64 * 1024;

/// The shape of the cells that make up a block, so that the format around it stays well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Lines of text; may be cut anywhere.
    Lines,
    /// `row,…` lines.
    CsvRows,
    /// `,"…"` items of an array.
    JsonItems,
    /// `<row>…</row>` elements.
    XmlRows,
    /// `<p>…</p>` paragraphs.
    HtmlParagraphs,
    /// Each block is one JPEG comment segment; a block of less than 4 bytes cannot be.
    JpegComments,
    /// GIF data sub-blocks of 255 bytes each.
    GifSubBlocks,
}

/// One cell: what stands around its text, and its length in bytes with them.
struct Cell {
    bytes: usize,
    prefix: &'static [u8],
    suffix: &'static [u8],
}

/// The shared text of a style: one block, and the CRC of what follows the stamp.
struct Shared {
    block: Bytes,
    after_stamp: Hasher,
}

impl Style {
    fn cell(self) -> Cell {
        let (bytes, prefix, suffix): (_, &[u8], &[u8]) = match self {
            Self::Lines | Self::JpegComments => (64, b"", b"\n"),
            Self::CsvRows => (64, b"row,", b"\n"),
            Self::JsonItems => (64, b",\n\"", b"\""),
            Self::XmlRows => (64, b"<row>", b"</row>\n"),
            Self::HtmlParagraphs => (64, b"<p>", b"</p>\n"),
            Self::GifSubBlocks => (256, &[255], b"\n"),
        };
        Cell { bytes, prefix, suffix }
    }

    /// Filler of this style is well-formed in multiples of this many bytes.
    pub(super) fn grain(self) -> u64 {
        match self {
            Self::Lines | Self::JpegComments => 1,
            _ => self.cell().bytes as u64,
        }
    }

    fn shared(self) -> &'static Shared {
        static SHARED: [OnceLock<Shared>; 7] = [const { OnceLock::new() }; 7];
        SHARED[self as usize].get_or_init(|| {
            let cell = self.cell();
            let mut block = Vec::with_capacity(BLOCK as usize);
            let mut random = 0x5EED_u32;
            while block.len() < BLOCK as usize {
                let end = block.len() + cell.bytes;
                block.extend_from_slice(cell.prefix);
                while block.len() < end - cell.suffix.len() {
                    // Numerical Recipes' generator; its low bits are poor, its high bits do for a text.
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    block.push(b"etaoin shrdlu cmfwyp vbgkqj xz e"[(random >> 27) as usize]);
                }
                block.extend_from_slice(cell.suffix);
            }
            let mut after_stamp = Hasher::new();
            after_stamp.update(&block[cell.bytes..]);
            Shared {
                block: block.into(),
                after_stamp,
            }
        })
    }
}

/// A run of filler. It starts at a block's beginning and may end within one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    style: Style,
    hash: u64,
    first_block: u64,
    bytes: u64,
}

impl Fill {
    /// `bytes` of filler for the path with this hash.
    pub(super) fn new(style: Style, hash: u64, bytes: u64) -> Self {
        Self {
            style,
            hash,
            first_block: 0,
            bytes,
        }
    }

    /// The same, with block numbers from `first_block` on: for a format that cuts its filler into several runs.
    pub(super) fn starting_at(self, first_block: u64) -> Self {
        Self { first_block, ..self }
    }

    /// The length in bytes.
    pub(super) fn len(self) -> u64 {
        self.bytes
    }

    /// The numbers of the blocks and their lengths in bytes: all are [`BLOCK`] but the last.
    fn blocks(self) -> impl Iterator<Item = (u64, usize)> + Send {
        (0..self.bytes.div_ceil(BLOCK)).map(move |index| {
            (
                self.first_block + index,
                (self.bytes - index * BLOCK).min(BLOCK) as usize,
            )
        })
    }

    /// The first cell of a block that is `length` bytes long.
    fn stamp(self, number: u64, length: usize) -> Vec<u8> {
        let cell = self.style.cell();
        let mut stamp = Vec::with_capacity(cell.bytes);
        if self.style == Style::JpegComments {
            // Marker, then the segment's length, which counts itself but not the marker.
            let [.., high, low] = (length.saturating_sub(2)).to_be_bytes();
            stamp.extend_from_slice(&[0xFF, 0xFE, high, low]);
        }
        stamp.extend_from_slice(cell.prefix);
        // Writing to memory cannot fail.
        let _ = write!(stamp, "{:016x} {number:08x} ", self.hash);
        stamp.resize(cell.bytes - cell.suffix.len(), b'.');
        stamp.extend_from_slice(cell.suffix);
        stamp.truncate(length);
        stamp
    }

    /// Stamp, shared text, stamp, shared text …
    pub(super) fn into_chunks(self) -> impl Iterator<Item = Bytes> + Send {
        let shared = self.style.shared();
        self.blocks().flat_map(move |(number, length)| {
            let stamp = self.stamp(number, length);
            let rest = shared.block.slice(stamp.len()..length);
            [Bytes::from(stamp), rest]
        })
    }

    /// Adds the filler to a CRC-32 (that of ZIP and PNG), without making it.
    pub(super) fn add_to(self, crc: &mut Hasher) {
        let shared = self.style.shared();
        for (number, length) in self.blocks() {
            let stamp = self.stamp(number, length);
            crc.update(&stamp);
            if length == BLOCK as usize {
                crc.combine(&shared.after_stamp);
            } else {
                crc.update(&shared.block[stamp.len()..length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLES: [Style; 7] = [
        Style::Lines,
        Style::CsvRows,
        Style::JsonItems,
        Style::XmlRows,
        Style::HtmlParagraphs,
        Style::JpegComments,
        Style::GifSubBlocks,
    ];

    fn made(fill: Fill) -> Vec<u8> {
        fill.into_chunks().flatten().collect()
    }

    #[test]
    fn filler_has_the_length_asked_for_and_the_crc_of_its_bytes() {
        for style in STYLES {
            for bytes in [0, 4, 63, 64, 65, 300, BLOCK - 1, BLOCK, BLOCK + 5, 3 * BLOCK + 777] {
                let fill = Fill::new(style, 42, bytes).starting_at(9);
                let bytes_made = made(fill);
                assert_eq!(bytes_made.len() as u64, bytes, "{style:?}");
                let mut crc = Hasher::new();
                crc.update(b"before");
                let mut expected = crc.clone();
                expected.update(&bytes_made);
                fill.add_to(&mut crc);
                assert_eq!(crc.finalize(), expected.finalize(), "{style:?} {bytes}");
            }
        }
    }

    #[test]
    fn no_two_blocks_and_no_two_paths_are_alike() {
        let one = made(Fill::new(Style::Lines, 1, 2 * BLOCK));
        let two = made(Fill::new(Style::Lines, 2, 2 * BLOCK));
        let (first, second) = one.split_at(BLOCK as usize);
        assert_ne!(first, second);
        assert_ne!(one, two);
    }
}
