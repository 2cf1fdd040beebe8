//! GIF (version 89a): one pixel, and a comment extension with the path and the filler.

use super::fill::{Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking};

/// Header, a screen of one pixel, a table of two colours, and the start of a comment extension.
const BEFORE: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\x33\x66\x99\xFF\xFF\xFF\x21\xFE";

/// The end of the comment, the pixel's image block, the trailer.
const AFTER: &[u8] = b"\0\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3B";

/// A GIF of exactly `bytes`, or of its least size.
pub(super) fn pieces(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let mut head = BEFORE.to_vec();
    for text in identity.text.as_bytes().chunks(255) {
        sub_block(&mut head, text);
    }
    // One sub-block of spaces takes 2 to 256 bytes, so the least size counts 2.
    let lacking = lacking(bytes, head.len() + 2 + AFTER.len());
    let rest = lacking % Style::GifSubBlocks.grain();
    if rest == 255 {
        // 257 bytes are two sub-blocks.
        sub_block(&mut head, &[b' '; 127]);
        sub_block(&mut head, &[b' '; 128]);
    } else {
        sub_block(&mut head, &vec![b' '; 1 + rest as usize]);
    }
    vec![
        head.into(),
        Piece::Fill(Fill::new(Style::GifSubBlocks, identity.hash, lacking - rest)),
        Piece::Bytes(AFTER.into()),
    ]
}

/// A length byte, then 1 to 255 bytes of data.
fn sub_block(out: &mut Vec<u8>, data: &[u8]) {
    out.push(data.len() as u8);
    out.extend_from_slice(data);
}
