//! Detection of text in any encoding.

use std::borrow::Cow;

/// Limits how much of a text is read for its markup and values.
const TEXT_BYTES: usize = 8 * 1024;

/// Whether a byte is a "binary data byte" of the [MIME Sniffing standard](https://mimesniff.spec.whatwg.org/), section 3.
pub(super) const fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

/// Whether every byte may be in a text, or the file starts with a UTF-16 byte order mark.
pub(super) fn is_plain(head: &[u8]) -> bool {
    has_utf16_mark(head) || !head.iter().any(|byte| is_binary(*byte))
}

pub(super) fn has_utf16_mark(head: &[u8]) -> bool {
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF")
}

/// Whether more than one byte in 32 cannot be in a text. Old texts have some: Ctrl-Z, printer codes, damage. UTF-16 without a
/// mark has many, but all at even or all at odd positions. In compressed and encrypted data it is one in ten everywhere.
pub(super) fn is_full_of_binary(head: &[u8]) -> bool {
    let head = &head[..head.len().min(TEXT_BYTES)];
    let at = |parity: usize| {
        let every_second = head.iter().skip(parity).step_by(2);
        every_second.filter(|byte| is_binary(**byte)).count()
    };
    !has_utf16_mark(head) && at(0).min(at(1)) * 64 > head.len()
}

/// Decodes the start of a text in any encoding; callers use its ASCII characters only.
pub(super) fn decode(head: &[u8]) -> Cow<'_, str> {
    let head = &head[..head.len().min(TEXT_BYTES)];
    let unit: fn([u8; 2]) -> u16 = match head {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(head),
    };
    let units: Vec<u16> = head.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}

/// Skips byte order mark and white space.
pub(super) fn skip_blank(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}' || c == '\0')
}

/// Skips a UTF-8 byte order mark, white space and zeros.
pub(super) fn skip_blank_bytes(head: &[u8]) -> &[u8] {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let blank = head
        .iter()
        .take_while(|byte| matches!(byte, b'\0' | b'\t' | b'\n' | b'\x0C' | b'\r' | b' '));
    &head[blank.count()..]
}

/// Whether the text starts with a root element, or what may precede it (XML 1.0, production 22).
pub(super) fn begins_as_xml(head: &[u8]) -> bool {
    skip_blank(&decode(head)).starts_with('<')
}

/// Whether the text starts with a JSON value (RFC 8259, section 2).
pub(super) fn begins_as_json(head: &[u8]) -> bool {
    let text = decode(head);
    let value = skip_blank(&text);
    value.starts_with(|c: char| c.is_ascii_digit() || "{[\"-".contains(c))
        || ["true", "false", "null"].iter().any(|word| value.starts_with(word))
}

/// Whether `text` contains `needle` (lower case) in any case.
pub(super) fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}
