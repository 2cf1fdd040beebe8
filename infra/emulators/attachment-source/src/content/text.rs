//! The text formats: plain text, CSV, JSON, XML and HTML, all well-formed at every size.

use super::fill::{Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking};

/// Text before the filler, spaces to the filler's grain, the filler, text after it.
fn framed(identity: &Identity, bytes: u64, style: Style, before: &str, after_spaces: &str, end: &str) -> Vec<Piece> {
    let least = before.len() + after_spaces.len() + end.len();
    let lacking = lacking(bytes, least);
    let spaces = lacking % style.grain();
    let head = format!("{before}{}{after_spaces}", " ".repeat(spaces as usize));
    vec![
        head.into_bytes().into(),
        Piece::Fill(Fill::new(style, identity.hash, lacking - spaces)),
        end.to_owned().into_bytes().into(),
    ]
}

/// Lines of text. Also what an unknown extension gets.
pub(super) fn plain(identity: &Identity, bytes: u64) -> Vec<Piece> {
    framed(
        identity,
        bytes,
        Style::Lines,
        &format!("Sample attachment\n{}\n", identity.text),
        "",
        "",
    )
}

/// Two columns, `kind` and `text`.
pub(super) fn csv(identity: &Identity, bytes: u64) -> Vec<Piece> {
    framed(
        identity,
        bytes,
        Style::CsvRows,
        &format!("kind,text\npath,{}", identity.text),
        "\n",
        "",
    )
}

/// An object with the path and an array of strings.
pub(super) fn json(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let before = format!("{{\"path\":\"{}\",", identity.text);
    framed(
        identity,
        bytes,
        Style::JsonItems,
        &before,
        "\"rows\":[\"sample attachment\"",
        "]}\n",
    )
}

/// A root element with the path as an attribute, and rows.
pub(super) fn xml(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let before = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<attachment path=\"{}\"",
        identity.text
    );
    framed(identity, bytes, Style::XmlRows, &before, ">\n", "</attachment>\n")
}

/// A page with the path as its title, and paragraphs.
pub(super) fn html(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let before = format!(
        "<!DOCTYPE html>\n<html><head><title>{}</title></head>\n<body>",
        identity.text
    );
    framed(
        identity,
        bytes,
        Style::HtmlParagraphs,
        &before,
        "\n",
        "</body></html>\n",
    )
}
