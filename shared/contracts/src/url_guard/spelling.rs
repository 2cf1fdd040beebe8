//! Percent-encoding of spaces and non-ASCII characters before a URL is parsed, as browsers and curl do it.
//!
//! Only the part behind the authority is encoded: in the host such characters are refused. The parsed form is fetched, so no
//! second interpretation of such a character exists. All other unusual characters are refused.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, percent_encode_byte, utf8_percent_encode};

/// Limits the length of a URL, in bytes; presigned ones are about 2 KiB.
pub const MAX_URL_BYTES: usize = 8 * 1024;

/// A space; non-ASCII characters are always encoded.
const SPACE: &AsciiSet = &AsciiSet::EMPTY.add(b' ');

/// Percent-encodes the spaces and non-ASCII characters of `raw` from byte `tail` on.
pub(super) fn encode_from(raw: &str, tail: usize) -> Cow<'_, str> {
    let (head, tail) = raw.split_at(tail);
    if !tail.bytes().any(|byte| byte == b' ' || !byte.is_ascii()) {
        return Cow::Borrowed(raw);
    }
    let mut encoded = head.to_owned();
    encoded.extend(utf8_percent_encode(tail, SPACE));
    Cow::Owned(encoded)
}

/// Returns the start of path, query and fragment, behind the authority; the end of a text that has none.
pub(super) fn tail_of_url(raw: &str, authority: Option<&str>) -> usize {
    let scheme = raw.find("://");
    authority
        .zip(scheme)
        .map_or(raw.len(), |(authority, scheme)| scheme + "://".len() + authority.len())
}

/// Returns the same for a reference without a scheme: its start, or the end of the authority behind `//`.
pub(super) fn tail_of_reference(reference: &str) -> usize {
    reference
        .strip_prefix("//")
        .map_or(0, |rest| "//".len() + rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// Returns the first character that encoding does not make harmless, with its position: URL parsers strip it, rewrite it or
/// disagree. This includes a space at either end, which some parsers drop and others encode.
pub(super) fn unreadable_character(raw: &str, tail: usize) -> Option<(&'static str, usize)> {
    let first = raw.len() - raw.trim_start_matches(' ').len();
    let last = raw.trim_end_matches(' ').len();
    raw.char_indices().find_map(|(position, c)| {
        let is_inside = position >= tail && position >= first && position < last;
        let what = match c {
            '\\' => "a backslash",
            c if c.is_control() => "a control character",
            '\u{2028}' | '\u{2029}' => "a line separator",
            c if c.is_whitespace() && !is_inside => "white space",
            _ => return None,
        };
        Some((what, position))
    })
}

/// A `Location` as text. Bytes that are not UTF-8 are percent-encoded one by one: old servers send Latin-1, and mean the
/// bytes of their own file names.
#[must_use]
pub fn location_text(location: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(location) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(location.len() + 16);
    for chunk in location.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| percent_encode_byte(*byte)));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_behind_the_authority_is_encoded() {
        for (raw, encoded) in [
            ("https://h/a b/ü.pdf?c d#e f", "https://h/a%20b/%C3%BC.pdf?c%20d#e%20f"),
            ("https://h?a b", "https://h?a%20b"),
            ("https://h ü/a b", "https://h ü/a%20b"),
            ("https://h/a%20b|c\"<>^`{}", "https://h/a%20b|c\"<>^`{}"),
            ("https://h/\u{202f}", "https://h/%E2%80%AF"),
        ] {
            let authority = raw["https://".len()..].split(['/', '?', '#']).next();
            assert_eq!(encode_from(raw, tail_of_url(raw, authority)), encoded);
        }
        assert_eq!(tail_of_url("https:a b", None), "https:a b".len());
        for (reference, encoded) in [
            ("/a b", "/a%20b"),
            ("a b", "a%20b"),
            ("//h ü/a b", "//h ü/a%20b"),
            ("//h ü", "//h ü"),
        ] {
            assert_eq!(encode_from(reference, tail_of_reference(reference)), encoded);
        }
    }

    #[test]
    fn a_location_is_read_whatever_its_bytes() {
        assert_eq!(location_text(b"/a.pdf"), "/a.pdf");
        assert_eq!(location_text("/ü.pdf".as_bytes()), "/ü.pdf");
        assert_eq!(location_text(b"/Gr\xF6\xDFe.pdf"), "/Gr%F6%DFe.pdf");
        assert_eq!(location_text(b"//h\xFF/a"), "//h%FF/a");
    }
}
