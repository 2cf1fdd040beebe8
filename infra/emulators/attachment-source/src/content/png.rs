//! PNG (ISO/IEC 15948): an encoder's picture, the path in a `tEXt` chunk, and private ancillary chunks for the size.

use std::sync::OnceLock;

use bytes::Bytes;
use crc32fast::Hasher;
use png::{BitDepth, ColorType, Compression, Encoder};

use super::fill::{BLOCK, Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking, picture};

/// Signature and IHDR: everything that must come before another chunk.
const BEFORE_CHUNKS: usize = 8 + 25;

/// A chunk's length, type and CRC.
const CHUNK_FRAME: u64 = 12;

/// The longest filler chunk with its frame: readers limit what they buffer of a chunk that they do not know (libpng: 8 MB).
const LONGEST_CHUNK: u64 = 16 * BLOCK;

/// Lower case where it matters: ancillary, private, safe to copy.
const FILLER_TYPE: &[u8; 4] = b"fiLl";

/// The encoded picture.
fn picture() -> &'static Bytes {
    static PICTURE: OnceLock<Bytes> = OnceLock::new();
    PICTURE.get_or_init(|| {
        let mut encoded = Vec::new();
        let mut encoder = Encoder::new(&mut encoded, picture::SIDE.into(), picture::SIDE.into());
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        // By the encoder itself: what flate2 makes of it depends on which backend is linked, and a path has one content everywhere.
        encoder.set_compression(Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&picture::rgb()))
            .expect("a constant picture is encoded into memory: there is nothing to fail");
        encoded.into()
    })
}

/// A PNG of exactly `bytes`, or of its least size.
pub(super) fn pieces(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let picture = picture();
    let text = |spaces: usize| {
        let data = format!("Comment\0{}{}", identity.text, " ".repeat(spaces));
        let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
        chunk.extend_from_slice(b"tEXt");
        chunk.extend_from_slice(data.as_bytes());
        let crc = crc32fast::hash(&chunk[4..]);
        chunk.extend_from_slice(&crc.to_be_bytes());
        chunk
    };
    let lacking = lacking(bytes, picture.len() + text(0).len());
    // A last chunk too short for its frame goes into the path's chunk instead.
    let spaces = Some(lacking % LONGEST_CHUNK)
        .filter(|rest| *rest < CHUNK_FRAME)
        .unwrap_or(0);
    let mut head = picture[..BEFORE_CHUNKS].to_vec();
    head.extend_from_slice(&text(spaces as usize));

    let filler = lacking - spaces;
    let mut pieces = vec![Piece::from(head)];
    for number in 0..filler.div_ceil(LONGEST_CHUNK) {
        let length = (filler - number * LONGEST_CHUNK).min(LONGEST_CHUNK) - CHUNK_FRAME;
        let fill = Fill::new(Style::Lines, identity.hash, length).starting_at(number * LONGEST_CHUNK / BLOCK);
        let mut crc = Hasher::new();
        crc.update(FILLER_TYPE);
        fill.add_to(&mut crc);
        let mut frame = (length as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(FILLER_TYPE);
        pieces.extend([
            frame.into(),
            Piece::Fill(fill),
            crc.finalize().to_be_bytes().to_vec().into(),
        ]);
    }
    pieces.push(Piece::Bytes(picture.slice(BEFORE_CHUNKS..)));
    pieces
}
