//! Word and Excel files (ECMA-376, Open Packaging Conventions): the fewest parts that open, and a text part for the size.
//!
//! The order of the parts is what `file` and other readers of magic bytes expect: content types, relationships, then
//! parts below `word/` or `xl/`.

use super::fill::{Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking, stored_zip};

/// The content type of a Word document.
pub(super) const DOCX_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// The content type of an Excel workbook.
pub(super) const XLSX_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// A Word document with the path as its paragraph.
pub(super) fn docx(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let document = format!(
        "{XML}<w:document xmlns:w=\"{WORD}\"><w:body><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:body></w:document>",
        identity.text
    );
    let parts = [
        (
            "[Content_Types].xml",
            content_types(&[("word/document.xml", &format!("{DOCX_TYPE}.main+xml"))]),
        ),
        ("_rels/.rels", relationship("officeDocument", "word/document.xml")),
        ("word/document.xml", document),
    ];
    package(identity, bytes, &parts, "word/filler.txt")
}

/// A workbook with one sheet and the path in its first cell.
pub(super) fn xlsx(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let workbook = format!(
        "{XML}<workbook xmlns=\"{SHEET}\" xmlns:r=\"{OFFICE}\"><sheets>\
         <sheet name=\"Sample\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let sheet = format!(
        "{XML}<worksheet xmlns=\"{SHEET}\"><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\">\
         <is><t>{}</t></is></c></row></sheetData></worksheet>",
        identity.text
    );
    let types = [
        ("xl/workbook.xml", format!("{XLSX_TYPE}.main+xml")),
        (
            "xl/sheet1.xml",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml".to_owned(),
        ),
    ];
    let parts = [
        ("[Content_Types].xml", content_types(&types)),
        ("_rels/.rels", relationship("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", workbook),
        ("xl/sheet1.xml", sheet),
        ("xl/_rels/workbook.xml.rels", relationship("worksheet", "sheet1.xml")),
    ];
    package(identity, bytes, &parts, "xl/filler.txt")
}

fn package(identity: &Identity, bytes: u64, parts: &[(&str, String)], filler_name: &str) -> Vec<Piece> {
    let filler = lacking(bytes, stored_zip::least(parts, filler_name));
    stored_zip::pieces(parts, filler_name, Fill::new(Style::Lines, identity.hash, filler))
}

/// The types by extension, and those of the given parts.
fn content_types(parts: &[(&str, impl AsRef<str>)]) -> String {
    let mut types = format!(
        "{XML}<Types xmlns=\"{PACKAGE}/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Default Extension=\"txt\" ContentType=\"text/plain\"/>"
    );
    for (part, content_type) in parts {
        let content_type = content_type.as_ref();
        types.push_str(&format!(
            "<Override PartName=\"/{part}\" ContentType=\"{content_type}\"/>"
        ));
    }
    types.push_str("</Types>");
    types
}

/// A relationships part with one relationship, `r1`.
fn relationship(kind: &str, target: &str) -> String {
    format!(
        "{XML}<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"r1\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/></Relationships>"
    )
}
