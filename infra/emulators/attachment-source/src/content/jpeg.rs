//! JPEG (ITU-T T.81): an encoder's picture, the path in a comment segment, and comment segments for the size.

use std::sync::OnceLock;

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};

use super::fill::{BLOCK, Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking, picture};

/// The shortest segment that has a length field.
const SHORTEST_SEGMENT: u64 = 4;

/// The encoded picture.
pub(super) fn picture() -> &'static Bytes {
    static PICTURE: OnceLock<Bytes> = OnceLock::new();
    PICTURE.get_or_init(|| {
        let mut encoded = Vec::new();
        Encoder::new(&mut encoded, 60)
            .encode(&picture::rgb(), picture::SIDE, picture::SIDE, ColorType::Rgb)
            .expect("a constant picture is encoded into memory: there is nothing to fail");
        encoded.into()
    })
}

/// A JPEG of exactly `bytes`, or of its least size.
pub(super) fn pieces(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let picture = picture();
    // Comments go behind APP0, where JFIF wants it: SOI (2), marker (2), then a length that counts itself.
    let after_app0 = 4 + usize::from(u16::from_be_bytes([picture[4], picture[5]]));
    let comment = |spaces: u64| {
        let length = (2 + identity.text.len() as u64 + spaces) as u16;
        let mut segment = vec![0xFF, 0xFE];
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(identity.text.as_bytes());
        segment.resize(segment.len() + spaces as usize, b' ');
        segment
    };
    let lacking = lacking(bytes, picture.len() + comment(0).len());
    // A last segment too short to be one goes into the path's comment instead.
    let spaces = Some(lacking % BLOCK)
        .filter(|rest| *rest < SHORTEST_SEGMENT)
        .unwrap_or(0);
    let mut head = picture[..after_app0].to_vec();
    head.extend_from_slice(&comment(spaces));
    vec![
        head.into(),
        Piece::Fill(Fill::new(Style::JpegComments, identity.hash, lacking - spaces)),
        Piece::Bytes(picture.slice(after_app0..)),
    ]
}
