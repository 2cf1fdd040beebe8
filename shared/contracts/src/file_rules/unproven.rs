//! Descriptions of content that proves no accepted kind, for messages.

use super::text::is_plain;

/// Formats that are not accepted, or not under this name.
const SIGNATURES: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an OLE2 file (old Office)"),
    (b"%PDF-", "a PDF file"),
    (b"{\\rtf", "an RTF file"),
];

/// Returns the format of a file that is not text; `None` for text and unknown formats.
pub(super) fn binary_format(head: &[u8]) -> Option<&'static str> {
    if is_plain(head) {
        return None;
    }
    let known = SIGNATURES
        .into_iter()
        .find(|(signature, _)| head.starts_with(signature));
    if let Some((_, name)) = known {
        return Some(name);
    }
    // `infer` classifies text by its markup, whatever else is in it.
    let inferred = infer::get(head).filter(|kind| kind.matcher_type() != infer::MatcherType::Text);
    inferred.map(|kind| kind.mime_type())
}

/// Describes the first bytes.
pub(super) fn describe(head: &[u8]) -> &'static str {
    match binary_format(head) {
        Some(format) => format,
        None if is_plain(head) => "plain text",
        None => "of no known format",
    }
}
