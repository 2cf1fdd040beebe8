//! Word and Excel files (ECMA-376, Open Packaging Conventions): the fewest parts that Office opens, stored in a ZIP archive.
//!
//! The order of the parts is what `file` and other readers of magic bytes expect: content types, relationships, then parts
//! below `word/` or `xl/`. The filler lies between the last entry and the central directory, where readers skip it: they
//! find entries by the directory.

macro_rules! xml {
    ($($text:expr),+) => { concat!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n", $($text),+) };
}

macro_rules! content_types {
    ($($part:literal is $content_type:literal),+) => {
        xml!(
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">",
            "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>",
            "<Default Extension=\"xml\" ContentType=\"application/xml\"/>",
            $("<Override PartName=\"/", $part, "\" ContentType=\"application/vnd.openxmlformats-officedocument.",
            $content_type, "+xml\"/>",)+
            "</Types>"
        )
    };
}

macro_rules! relationships {
    ($($id:literal is $kind:literal at $target:literal)?) => {
        xml!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">",
            $("<Relationship Id=\"", $id, "\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
            $kind, "\" Target=\"", $target, "\"/>",)?
            "</Relationships>"
        )
    };
}

/// Stands for the text of the path.
const TEXT: &str = "{text}";

/// A document with the path as its only paragraph.
pub(super) const DOCX: &[(&str, &str)] = &[
    (
        "[Content_Types].xml",
        content_types!("word/document.xml" is "wordprocessingml.document.main"),
    ),
    (
        "_rels/.rels",
        relationships!("r1" is "officeDocument" at "word/document.xml"),
    ),
    (
        "word/document.xml",
        xml!(
            "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>",
            "<w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
        ),
    ),
    ("word/_rels/document.xml.rels", relationships!()),
];

/// A workbook with one sheet and the path in its first cell.
pub(super) const XLSX: &[(&str, &str)] = &[
    (
        "[Content_Types].xml",
        content_types!(
            "xl/workbook.xml" is "spreadsheetml.sheet.main",
            "xl/sheet1.xml" is "spreadsheetml.worksheet"
        ),
    ),
    (
        "_rels/.rels",
        relationships!("r1" is "officeDocument" at "xl/workbook.xml"),
    ),
    (
        "xl/workbook.xml",
        xml!(
            "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" ",
            "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">",
            "<sheets><sheet name=\"Sample\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
        ),
    ),
    (
        "xl/sheet1.xml",
        xml!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData><row r=\"1\">",
            "<c r=\"A1\" t=\"inlineStr\"><is><t>{text}</t></is></c></row></sheetData></worksheet>"
        ),
    ),
    (
        "xl/_rels/workbook.xml.rels",
        relationships!("r1" is "worksheet" at "sheet1.xml"),
    ),
];

/// Returns a ZIP archive (PKWARE APPNOTE) of stored entries: their headers and data, and the central directory.
pub(super) fn archive(parts: &[(&str, &str)], text: &str, filler: u64) -> [Vec<u8>; 2] {
    let (mut entries, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in parts {
        let data = data.replace(TEXT, text);
        let numbers = [crc32fast::hash(data.as_bytes()), data.len() as u32, data.len() as u32];
        // "Version needed to extract" 2.0, no flags, stored, 00:00 on 1 January 1980, no extra field.
        let header = [
            b"\x14\0\0\0\0\0\0\0\x21\0".as_slice(),
            numbers.map(u32::to_le_bytes).as_flattened(),
            &(name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        // "Version made by" 2.0; no comment, disk 0, no attributes.
        let offset = (entries.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &header[..], &[0; 10], &offset, name.as_bytes()].concat());
        entries.extend([b"PK\x03\x04", &header[..], name.as_bytes(), data.as_bytes()].concat());
    }
    let count = (parts.len() as u16).to_le_bytes();
    let length = (directory.len() as u32).to_le_bytes();
    let offset = (entries.len() as u32 + filler as u32).to_le_bytes();
    directory.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &length, &offset, &[0; 2]].concat());
    [entries, directory]
}
