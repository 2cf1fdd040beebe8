//! Pictures, by their signatures. `iso_media` has those of ISO media.

use super::file_type::FileType;
use super::proof::Proof;

/// Returns the picture of the file's signature.
///
/// Signatures follow the [WHATWG MIME Sniffing standard](https://mimesniff.spec.whatwg.org/) where it defines them.
pub(super) fn find(head: &[u8]) -> Option<Proof> {
    let kind = match head {
        [0xFF, 0xD8, 0xFF, ..] => FileType::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => FileType::Png,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => FileType::Gif,
        [b'B', b'M', ..] if is_bitmap(head) => FileType::Bmp,
        // TIFF 6.0, section 2, and BigTIFF (version 43).
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => FileType::Tiff,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => FileType::Webp,
        _ => return None,
    };
    Some(Proof::of(kind))
}

/// Whether the file is a bitmap. Texts may start with the same two letters, so the header's size must be one of eight.
fn is_bitmap(head: &[u8]) -> bool {
    matches!(
        head.get(14..18),
        Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
    )
}
