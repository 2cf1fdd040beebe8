//! Web pages, which browsers run and servers send instead of a file.

use super::file_type::FileType;
use super::text::{decode, skip_blank};

/// Elements that mark a text as a page if it starts with them.
const TAGS: [&str; 16] = [
    "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body", "br", "p",
    "meta",
];

/// Whether the file is a web page instead of a file of the kind `expected`. What browsers skip is skipped: byte order mark,
/// white space, comments, XML prolog.
pub(super) fn is_page(expected: Option<FileType>, head: &[u8]) -> bool {
    let text = decode(head).to_ascii_lowercase();
    let mut rest = skip_blank(&text);
    let xml_expected = expected == Some(FileType::Xml);
    // In XML `<table>` may mean anything, so only XHTML counts as a page.
    let mut is_xml = xml_expected;
    loop {
        let skipped = if let Some(comment) = rest.strip_prefix("<!--") {
            // A comment longer than the head: only markup starts like that.
            let Some((_, behind)) = comment.split_once("-->") else {
                return !xml_expected;
            };
            behind
        } else if let Some(instruction) = rest.strip_prefix("<?xml") {
            let Some((_, behind)) = instruction.split_once("?>") else {
                return false;
            };
            // Error pages have no prolog; with one, XHTML is the XML that was declared.
            if xml_expected {
                return false;
            }
            is_xml = true;
            behind
        } else {
            break;
        };
        rest = skipped.trim_start();
    }
    if let Some(doctype) = rest.strip_prefix("<!doctype") {
        return doctype.trim_start().starts_with("html");
    }
    first_tag(rest).is_some_and(|name| name == "html" || !is_xml && TAGS.contains(&name))
}

/// Returns the name of the element at the start of a lower-case text; `None` if the head ends inside it.
fn first_tag(text: &str) -> Option<&str> {
    let tag = text.strip_prefix('<')?;
    let end = tag.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
    Some(&tag[..end])
}
