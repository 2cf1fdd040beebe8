//! Office documents as text, which Office opens under `.xls` and `.doc`: SpreadsheetML and WordprocessingML of 2003, flat
//! packages, web archives (MHTML), and HTML.
//!
//! Their media type is that of the Office program instead of `text/html`, so that no browser displays such a file.

use super::file_type::FileType;
use super::proof::Proof;
use super::text::{contains, decode, skip_blank};

/// Marks of Excel's and Word's XML: the processing instruction that names the program, or the root's namespace.
const EXCEL_XML: [&str; 2] = [
    "progid=\"excel.sheet\"",
    "\"urn:schemas-microsoft-com:office:spreadsheet\"",
];
const WORD_XML: [&str; 3] = [
    "progid=\"word.document\"",
    "\"http://schemas.microsoft.com/office/word/2003/wordml\"",
    "\"http://schemas.microsoft.com/office/2006/xmlpackage\"",
];

/// Marks of Excel's and Word's HTML: namespaces, and the program's id and name in `meta`.
const EXCEL_HTML: [&[u8]; 4] = [
    b"urn:schemas-microsoft-com:office:excel",
    b"excel.sheet",
    b"content=\"microsoft excel",
    b"<x:excelworkbook",
];
const WORD_HTML: [&[u8]; 4] = [
    b"urn:schemas-microsoft-com:office:word",
    b"word.document",
    b"content=\"microsoft word",
    b"<w:worddocument",
];

/// Elements around the first visible one. An error page has a title, a heading or text there.
const AROUND: [&str; 12] = [
    "?xml", "!doctype", "html", "head", "/head", "meta", "base", "link", "body", "center", "div", "br",
];

/// Returns the kind of Office XML, regardless of its name.
pub(super) fn xml(head: &[u8]) -> Option<Proof> {
    let text = decode(head).to_ascii_lowercase();
    let markup = skip_blank(&text);
    if !markup.starts_with('<') || markup.starts_with("<html") || markup.starts_with("<!doctype") {
        return None;
    }
    // XML treats single quotes alike.
    let text = text.replace('\'', "\"");
    let is = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    if is(&EXCEL_XML) {
        return Some(Proof::of(FileType::Xls));
    }
    is(&WORD_XML).then_some(Proof::of(FileType::Doc))
}

/// Returns the kind of a web archive or page that Office wrote, or of a table that a program wrote for Excel, under a name
/// that Office opens.
pub(super) fn page(named: FileType, head: &[u8]) -> Option<Proof> {
    if !named.is_office() {
        return None;
    }
    let text = decode(head).to_ascii_lowercase();
    let is_web_archive = is_web_archive(&text);
    let is_markup = skip_blank(&text).starts_with('<');
    if !is_web_archive && !is_markup {
        return None;
    }
    // UTF-16 is rare here, and its decoded start has the marks.
    let has = |mark: &&[u8]| contains(head, mark) || contains(text.as_bytes(), mark);
    let is_table = named.is_excel() && is_markup && begins_with_table(&text);
    let of_its_name = if named.is_excel() { FileType::Xls } else { FileType::Doc };
    let (excel, word) = (EXCEL_HTML.iter().any(has), WORD_HTML.iter().any(has));
    match (excel, word) {
        (true, false) => Some(Proof::of(FileType::Xls)),
        (false, true) => Some(Proof::of(FileType::Doc)),
        (true, true) => Some(Proof::of(of_its_name)),
        (false, false) => (is_web_archive || is_table).then_some(Proof::of(of_its_name)),
    }
}

/// Whether it is a MIME message of related parts (RFC 2557); error pages are not.
fn is_web_archive(text: &str) -> bool {
    let text = skip_blank(text);
    let message = text.split_once("\n\n").or_else(|| text.split_once("\n\r\n"));
    let (headers, _) = message.unwrap_or((text, ""));
    let (first, _) = headers.split_once(':').unwrap_or_default();
    let begins_as_message = ["mime-version", "from", "subject", "content-type", "date", "message-id"].contains(&first);
    begins_as_message && headers.contains("mime-version:") && headers.contains("multipart/related")
}

/// Whether a page shows a table before anything else and has no script, as programs write it that export to Excel.
fn begins_with_table(text: &str) -> bool {
    let of_pages = ["<script", "<form", "<title", "<iframe", "<h1"];
    if of_pages.iter().any(|tag| text.contains(tag)) {
        return false;
    }
    let mut rest = skip_blank(text);
    while let Some(tag) = tag_name(rest) {
        let end = match tag {
            "table" => return true,
            "!--" => "-->",
            "style" => "</style>",
            tag if AROUND.contains(&tag) => ">",
            _ => return false,
        };
        let Some((_, behind)) = rest.split_once(end) else {
            return false;
        };
        rest = behind.trim_start();
    }
    false
}

/// Returns the name of the tag at the start of a text, with the slash of a closing one.
fn tag_name(text: &str) -> Option<&str> {
    let tag = text.strip_prefix('<')?;
    if tag.starts_with("!--") {
        return Some("!--");
    }
    let is_end = |(at, c): &(usize, char)| c.is_whitespace() || *c == '>' || *c == '/' && *at > 0;
    let (end, _) = tag.char_indices().find(is_end)?;
    Some(&tag[..end])
}
