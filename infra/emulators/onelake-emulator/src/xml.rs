//! The XML of the Blob protocol: written for answers, parsed for block lists.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use crate::content::OCTETS;
use crate::errors::{ErrorResponse, INVALID_XML};
use crate::storage::{Block, BlockRef, BlockSource, ListEntry};

pub(crate) const CONTENT_TYPE: &str = "application/xml";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// Returns the body of an error.
pub(crate) fn error(code: &str, message: &str) -> String {
    format!(
        "{DECLARATION}<Error><Code>{code}</Code><Message>{}</Message></Error>",
        escape(message)
    )
}

fn element(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("<{name}>{}</{name}>", escape(value)));
}

/// The parameters of a list, which its answer repeats.
pub(crate) struct ListParameters<'a> {
    pub(crate) service: &'a str,
    pub(crate) container: &'a str,
    /// `Prefix`, `Marker`, `MaxResults` and `Delimiter`, if they were given.
    pub(crate) given: Vec<(&'a str, &'a str)>,
    /// Whether folders are listed as prefixes, without the paths below them.
    pub(crate) by_level: bool,
    pub(crate) next: Option<String>,
}

/// Returns the answer to a list.
pub(crate) fn list(head: &ListParameters<'_>, entries: &[ListEntry]) -> String {
    let mut out = format!(
        "{DECLARATION}<EnumerationResults ServiceEndpoint=\"{}\" ContainerName=\"{}\">",
        escape(head.service),
        escape(head.container)
    );
    for (name, value) in &head.given {
        element(&mut out, name, value);
    }
    out.push_str("<Blobs>");
    for listed in entries {
        if head.by_level && listed.entry.is_folder() {
            out.push_str("<BlobPrefix>");
            element(&mut out, "Name", &format!("{}/", listed.name));
            out.push_str("</BlobPrefix>");
        } else {
            blob(&mut out, listed);
        }
    }
    out.push_str("</Blobs>");
    element(&mut out, "NextMarker", head.next.as_deref().unwrap_or(""));
    out.push_str("</EnumerationResults>");
    out
}

fn blob(out: &mut String, listed: &ListEntry) {
    let ListEntry {
        name,
        entry,
        properties,
    } = listed;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    out.push_str("<Blob>");
    element(out, "Name", name);
    out.push_str("<Properties>");
    for (name, value) in [
        ("Creation-Time", entry.created.http_date()),
        ("Last-Modified", entry.stamp.http_date()),
        ("Etag", entry.stamp.etag()),
        ("ResourceType", entry.resource_type().to_owned()),
        ("Content-Length", entry.length.to_string()),
        (
            "Content-Type",
            properties.content_type.clone().unwrap_or_else(|| OCTETS.to_owned()),
        ),
        ("Content-Encoding", text(&properties.content_encoding)),
        ("Content-Language", text(&properties.content_language)),
        ("Content-MD5", text(&properties.content_md5)),
        ("Content-Disposition", text(&properties.content_disposition)),
        ("Cache-Control", text(&properties.cache_control)),
        ("BlobType", "BlockBlob".to_owned()),
        ("LeaseStatus", "unlocked".to_owned()),
        ("LeaseState", "available".to_owned()),
        ("ServerEncrypted", "true".to_owned()),
    ] {
        element(out, name, &value);
    }
    out.push_str("</Properties>");
    if !properties.metadata.is_empty() || entry.is_folder() {
        out.push_str("<Metadata>");
        if entry.is_folder() {
            element(out, "hdi_isfolder", "true");
        }
        for (name, value) in &properties.metadata {
            element(out, name, value);
        }
        out.push_str("</Metadata>");
    }
    out.push_str("</Blob>");
}

/// Returns the answer to Get Block List, with the requested lists.
pub(crate) fn block_list(committed: Option<&[Block]>, uncommitted: Option<&[Block]>) -> String {
    let mut out = format!("{DECLARATION}<BlockList>");
    for (name, blocks) in [("CommittedBlocks", committed), ("UncommittedBlocks", uncommitted)] {
        let Some(blocks) = blocks else {
            continue;
        };
        out.push_str(&format!("<{name}>"));
        for block in blocks {
            out.push_str("<Block>");
            element(&mut out, "Name", &block.id);
            element(&mut out, "Size", &block.size.to_string());
            out.push_str("</Block>");
        }
        out.push_str(&format!("</{name}>"));
    }
    out.push_str("</BlockList>");
    out
}

/// Parses the body of Put Block List.
pub(crate) fn parse_block_list(text: &str) -> Result<Vec<BlockRef>, ErrorResponse> {
    let mut reader = Reader::from_str(text);
    let mut blocks = Vec::new();
    let mut source = None;
    let mut depth = 0;
    let mut seen = false;
    loop {
        match reader.read_event().map_err(|_| INVALID_XML)? {
            Event::Start(start) => {
                depth += 1;
                match (depth, start.name().as_ref()) {
                    (1, b"BlockList") => seen = true,
                    (2, b"Committed") => source = Some(BlockSource::Committed),
                    (2, b"Uncommitted") => source = Some(BlockSource::Uncommitted),
                    (2, b"Latest") => source = Some(BlockSource::Latest),
                    _ => return Err(INVALID_XML.into()),
                }
            }
            Event::End(_) => {
                depth -= 1;
                source = None;
            }
            Event::Empty(empty) if depth == 0 && empty.name().as_ref() == b"BlockList" => seen = true,
            Event::Text(text) => {
                if let Some(source) = source {
                    let id = std::str::from_utf8(&text).map_err(|_| INVALID_XML)?.trim().to_owned();
                    blocks.push(BlockRef { source, id });
                }
            }
            Event::Eof if depth == 0 && seen => return Ok(blocks),
            Event::Decl(_) | Event::Comment(_) => {}
            _ => return Err(INVALID_XML.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_list_is_parsed_in_its_order() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n  <Latest>QQ==</Latest>\n\t<Committed>Qg==</Committed><Uncommitted>Qw==</Uncommitted></BlockList>\n";
        let expected = [
            (BlockSource::Latest, "QQ=="),
            (BlockSource::Committed, "Qg=="),
            (BlockSource::Uncommitted, "Qw=="),
        ];
        let expected = expected.map(|(source, id)| (source, id.to_owned()));
        let expected = expected.map(|(source, id)| BlockRef { source, id });
        assert_eq!(parse_block_list(text).unwrap(), expected);
        assert_eq!(parse_block_list("<BlockList/>").unwrap(), []);
        assert_eq!(parse_block_list("<BlockList></BlockList>").unwrap(), []);
    }

    #[test]
    fn a_text_that_is_not_a_block_list_is_refused() {
        for text in [
            "",
            "text",
            "<BlockList>",
            "<Other/>",
            "<BlockList><Blob>a</Blob></BlockList>",
            "<BlockList><Latest>a</BlockList>",
            "<!DOCTYPE a><BlockList/>",
        ] {
            assert_eq!(parse_block_list(text).unwrap_err().error, INVALID_XML, "{text}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert!(error("Code", "a < b & c").contains("a &lt; b &amp; c"));
    }
}
