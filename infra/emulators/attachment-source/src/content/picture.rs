//! The picture that the image and video formats carry: a small colour gradient.

/// Width and height in pixels.
pub(super) const SIDE: u16 = 32;

/// Rows of red, green and blue bytes.
pub(super) fn rgb() -> Vec<u8> {
    let mut pixels = Vec::with_capacity(usize::from(SIDE) * usize::from(SIDE) * 3);
    for y in 0..SIDE as u8 {
        for x in 0..SIDE as u8 {
            pixels.extend_from_slice(&[x * 8, y * 8, 128]);
        }
    }
    pixels
}
