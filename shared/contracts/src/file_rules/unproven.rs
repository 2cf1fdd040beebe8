//! For messages: what content looks like that proves no accepted kind.

use super::text::is_plain;

/// Formats that are accepted under no name, or not under this one.
const SIGNATURES: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an OLE2 file (old Office)"),
    (b"%PDF-", "a PDF file"),
    (b"{\\rtf", "an RTF file"),
];

/// The format of a file that is not text; `None` for text and for what nobody recognises.
pub(super) fn binary_format(head: &[u8]) -> Option<&'static str> {
    if is_plain(head) {
        return None;
    }
    if let Some((_, name)) = SIGNATURES
        .into_iter()
        .find(|(signature, _)| head.starts_with(signature))
    {
        return Some(name);
    }
    // It calls text by its markup whatever else is in it.
    infer::get(head)
        .filter(|kind| kind.matcher_type() != infer::MatcherType::Text)
        .map(|kind| kind.mime_type())
}

/// What the first bytes look like.
pub(super) fn describe(head: &[u8]) -> &'static str {
    let unknown = if is_plain(head) {
        "plain text"
    } else {
        "of no known format"
    };
    binary_format(head).unwrap_or(unknown)
}
