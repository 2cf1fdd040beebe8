//! Pictures and films: the smallest file of each type, as another program would write it.
//!
//! Decoders stop at the end of a picture, so the text and the filler follow it. In a film they are a `free` box.

/// A PNG (ISO/IEC 15948) of one pixel.
pub(super) const PNG: &[u8] =
    b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xDE\0\0\0\x0CIDATx\xDAc0N\x9B\x09\0\x02\
    \x02\x013hz1\xF8\0\0\0\0IEND\xAEB`\x82";

/// A baseline JPEG (ITU-T T.81) of 8 × 8 grey pixels: quantization by 1, one Huffman code for each table.
pub(super) const JPEG: &[u8] =
    b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xDB\0C\0\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\
    \x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\
    \x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\xFF\xC0\0\
    \x0B\x08\0\x08\0\x08\x01\x01\x11\0\xFF\xC4\0\x14\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF\xC4\0\x14\x10\x01\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF\xDA\0\x08\x01\x01\0\0?\0?\xFF\xD9";

/// A GIF (version 89a) of one pixel.
pub(super) const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\x33\x66\x99\xFF\xFF\xFF\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3B";

/// File types of QuickTime and MP4 (ISO/IEC 14496-12), of the same length.
pub(super) const QUICKTIME: &[u8; 28] = b"\0\0\0\x1Cftypqt  \0\0\x02\0qt  isommp41";
pub(super) const MP4: &[u8; 28] = b"\0\0\0\x1Cftypisom\0\0\x02\0isomiso2mp41";

/// The description of a film of one second, and the header of the data behind it: one video track, one frame, [`JPEG`].
const FILM: &[u8] =
    b"\0\0\x02Wmoov\0\0\0lmvhd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\xE8\0\0\x03\xE8\0\x01\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0@\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\x02\0\0\x01\xE3trak\0\0\0\\tkhd\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x03\xE8\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0@\0\0\0\0\x08\0\0\0\
    \x08\0\0\0\0\x01\x7Fmdia\0\0\0 mdhd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\xE8\0\0\x03\xE8U\xC4\0\0\0\0\0&hdlr\0\0\0\0\
    \0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0Video\0\0\0\x011minf\0\0\0\x14vmhd\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0$dinf\0\0\
    \0\x1Cdref\0\0\0\0\0\0\0\x01\0\0\0\x0Curl \0\0\0\x01\0\0\0\xF1stbl\0\0\0\x89stsd\0\0\0\0\0\0\0\x01\0\0\0ymp4v\0\
    \0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\x08\0H\0\0\0H\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x18\xFF\xFF\0\0\0#esds\0\0\0\0\x03\x15\0\x01\0\x04\rl\x11\0\0\0\0\0\0\
    \0\0\0\0\0\x06\x01\x02\0\0\0\x18stts\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\x03\xE8\0\0\0\x1Cstsc\0\0\0\0\0\0\0\x01\0\0\
    \0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x18stsz\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x9F\0\0\0\x14stco\0\0\0\0\0\0\0\x01\0\0\
    \x02{\0\0\0\xA7mdat";

pub(super) fn picture(sample: &[u8], text: &str) -> [Vec<u8>; 2] {
    [[sample, text.as_bytes()].concat(), Vec::new()]
}

pub(super) fn film(file_type: &[u8], text: &str, filler: u64) -> [Vec<u8>; 2] {
    let free = (8 + text.len() as u64 + filler) as u32;
    let parts = [file_type, FILM, JPEG, &free.to_be_bytes(), b"free", text.as_bytes()];
    [parts.concat(), Vec::new()]
}
