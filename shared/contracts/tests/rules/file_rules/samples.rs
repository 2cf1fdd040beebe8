//! The shortest bytes that are accepted as a file, and names of decisions.

use xact_contracts::file_rules::{FileRefusedError, FileType, judge};

pub(super) const SPECIFIED: [&str; 24] = [
    "pdf", "xml", "txt", "csv", "json", "html", "htm", "xls", "xlsx", "doc", "docx", "esx", "jpg", "jpeg", "png",
    "gif", "bmp", "tiff", "tif", "webp", "heic", "heif", "mov", "mp4",
];

/// Extensions whose content proves the kind, one of each kind.
pub(super) const PROVEN: [&str; 14] = [
    "pdf", "xls", "xlsx", "doc", "docx", "jpg", "png", "gif", "bmp", "tiff", "webp", "heic", "mov", "mp4",
];

pub(super) fn file_type(extension: &str) -> FileType {
    FileType::from_extension(extension).unwrap()
}

/// A word for what becomes of a file: the kind that it is stored as, or why it is refused. An empty extension is not a name.
pub(super) fn verdict(extension: &str, declared: Option<&str>, head: &[u8]) -> &'static str {
    match judge(FileType::from_extension(extension), declared, head) {
        Ok(judged) => judged.file_type.label(),
        Err(FileRefusedError::Empty) => "empty",
        Err(FileRefusedError::Executable { .. }) => "executable",
        Err(FileRefusedError::HtmlPage { .. }) => "html page",
        Err(FileRefusedError::Content { .. }) => "content",
        Err(FileRefusedError::Unnamed { .. }) => "unnamed",
        Err(FileRefusedError::DeclaredType { .. }) => "declared",
        Err(other) => panic!("{other}"),
    }
}

/// [`verdict`] of a file whose server declares nothing.
pub(super) fn content(extension: &str, head: &[u8]) -> &'static str {
    verdict(extension, None, head)
}

/// Verifies the verdict of a file under each of these names.
pub(super) fn assert_content(extensions: &[&str], head: &[u8], expected: &str) {
    for extension in extensions {
        assert_eq!(
            content(extension, head),
            expected,
            "{extension:?}: {}",
            head.escape_ascii()
        );
    }
}

/// A ZIP file with empty members of these names, without its central directory.
pub(super) fn zip(names: &[&str]) -> Vec<u8> {
    let mut archive = Vec::new();
    for name in names {
        archive.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0");
        archive.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        archive.extend_from_slice(&[0, 0]);
        archive.extend_from_slice(name.as_bytes());
    }
    archive
}

/// An OLE2 compound file with 512-byte sectors: the directory is in `directory_sector`, and its root holds streams of
/// these names.
pub(super) fn compound(directory_sector: u32, root_class: [u8; 16], streams: &[&str]) -> Vec<u8> {
    let mut file = vec![0; 512 * 4];
    file[..8].copy_from_slice(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    file[30..32].copy_from_slice(&9_u16.to_le_bytes());
    file[48..52].copy_from_slice(&directory_sector.to_le_bytes());
    // The first sector holds the chains.
    file[76..80].copy_from_slice(&0_u32.to_le_bytes());
    let chains = 512;
    let sectors = u32::try_from(streams.len() + 1).unwrap().div_ceil(4);
    let directory = 512 * (usize::try_from(directory_sector).unwrap() + 1);
    file.resize(file.len().max(directory + 512 * usize::try_from(sectors).unwrap()), 0);
    for sector in 0..sectors {
        let number = directory_sector + sector;
        let next = if sector + 1 < sectors { number + 1 } else { 0xFFFF_FFFE };
        let at = chains + 4 * usize::try_from(number).unwrap();
        file[at..at + 4].copy_from_slice(&next.to_le_bytes());
    }
    let mut entry = |index: usize, name: &str, kind: u8, left: u32, child: u32| {
        let entry = &mut file[directory + 128 * index..directory + 128 * (index + 1)];
        for (at, unit) in name.encode_utf16().enumerate() {
            entry[2 * at..2 * at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        entry[66] = kind;
        entry[68..72].copy_from_slice(&left.to_le_bytes());
        entry[72..76].copy_from_slice(&u32::MAX.to_le_bytes());
        entry[76..80].copy_from_slice(&child.to_le_bytes());
        if index == 0 {
            entry[80..96].copy_from_slice(&root_class);
        }
    };
    let first = if streams.is_empty() { u32::MAX } else { 1 };
    entry(0, "Root Entry", 5, u32::MAX, first);
    for (index, name) in streams.iter().enumerate() {
        let following = u32::try_from(index + 2).unwrap();
        let left = if index + 1 < streams.len() { following } else { u32::MAX };
        entry(index + 1, name, 2, left, u32::MAX);
    }
    file
}

/// The shortest bytes that pass for a file of that extension.
pub(super) fn sample(extension: &str) -> Vec<u8> {
    let bytes: &[u8] = match extension {
        "pdf" => b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj",
        "xml" => b"<?xml version=\"1.0\"?><claim/>",
        "txt" => b"roof damaged",
        "csv" => b"a,b\r\n1,2\r\n",
        "json" => b"{\"a\":1}",
        "html" | "htm" => b"<!DOCTYPE html><html></html>",
        "xls" => return compound(1, [0; 16], &["Workbook", "\u{5}SummaryInformation"]),
        "doc" => return compound(1, [0; 16], &["1Table", "WordDocument"]),
        "xlsx" => return zip(&["[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"]),
        "docx" => return zip(&["[Content_Types].xml", "_rels/.rels", "word/document.xml"]),
        "esx" => return zip(&["XACTDOC.ZIPXML", "1.JPG"]),
        "jpg" | "jpeg" => b"\xFF\xD8\xFF\xE0\0\x10JFIF\0",
        "png" => b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR",
        "gif" => b"GIF89a\x01\0\x01\0\x80\0\0",
        "bmp" => b"BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
        "tiff" | "tif" => b"II*\0\x08\0\0\0",
        "webp" => b"RIFF\x24\0\0\0WEBPVP8 ",
        "heic" | "heif" => b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "mov" => b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        "mp4" => b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        _ => unreachable!("not specified"),
    };
    bytes.to_vec()
}

/// A web page, as servers send it instead of a file.
pub(super) const PAGES: [&[u8]; 20] = [
    b"<!DOCTYPE html>\n<html><body>403</body></html>",
    b"<!doctype HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">",
    b"<html><head><title>Error</title>",
    b"<HTML lang=en>",
    b"\r\n\t  <html>",
    b"\xEF\xBB\xBF<html>",
    b"\xEF\xBB\xBF \n<!DOCTYPE html>",
    b"<!-- error --><html>",
    b"<!-- a --> <!-- b -->\n<!DOCTYPE html>",
    b"<!-- never closed, as long as the head",
    b"<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">",
    b"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">",
    b"<head><meta charset=utf-8>",
    b"<body>Forbidden</body>",
    b"<h1>Service Unavailable</h1>",
    b"<script>location='/login'</script>",
    b"<title>Sign in</title>",
    b"<p>Not found</p>",
    b"\xFF\xFE<\0h\0t\0m\0l\0>\0",
    b"\xFE\xFF\0<\0h\0t\0m\0l\0>",
];
