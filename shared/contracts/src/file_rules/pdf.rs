//! PDF files, also behind content that mail gateways and scripts have put in front.

use super::file_type::FileType;
use super::text;

/// Readers accept a header within this many bytes (ISO 32000-1, annex H.3, note 13).
const HEADER_WINDOW: usize = 1024;

/// Returns the position of the header, if there is one within the window.
fn header_at(head: &[u8]) -> Option<usize> {
    let window = &head[..head.len().min(HEADER_WINDOW)];
    window.windows(5).position(|bytes| bytes == b"%PDF-")
}

/// Whether the file starts as a PDF, after white space.
pub(super) fn is_at_front(head: &[u8]) -> bool {
    text::skip_blank_bytes(head).starts_with(b"%PDF-")
}

/// Whether the file is a PDF behind other content, of which the caller knows that it is not another format.
///
/// Behind markup, or under another name, an object must follow the header: a page or a message may mention PDF files. A text
/// may even contain one.
pub(super) fn is_behind(named: Option<FileType>, head: &[u8]) -> bool {
    if named.is_some_and(|kind| kind.is_text() || kind == FileType::Esx) {
        return false;
    }
    let Some(at) = header_at(head) else {
        return false;
    };
    let (before, header) = head.split_at(at);
    let has_version = header.get(5).is_some_and(u8::is_ascii_digit);
    let decoded = text::decode(before);
    let is_markup = text::skip_blank(&decoded).starts_with(['<', '{', '[']);
    let is_expected = named.is_none_or(|kind| kind == FileType::Pdf);
    has_version && (is_expected && !is_markup || has_object(header))
}

/// Whether a PDF reader would open the file, even if it is also of another format.
pub(super) fn has_header(head: &[u8]) -> bool {
    header_at(head).is_some()
}

/// Whether there is an object: `1 0 obj`.
fn has_object(body: &[u8]) -> bool {
    let mut found = body.windows(4).enumerate().filter(|(_, window)| *window == b" obj");
    found.any(|(at, _)| at > 0 && body[at - 1].is_ascii_digit())
}
