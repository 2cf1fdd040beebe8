//! What the first bytes of a file say: refused if they contradict its kind, and always if they run.
//!
//! Signatures follow the [WHATWG MIME Sniffing standard](https://mimesniff.spec.whatwg.org/) where it
//! has them; the other formats' specifications are named beside them.

use super::{FileRefusal, FileType};
use std::borrow::Cow;

/// As many bytes as the rules look at.
pub const CONTENT_HEAD_BYTES: usize = 8 * 1024;

const OLE2: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const ZIP: &[u8] = b"PK\x03\x04";
const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";
const ZIP_ARCHIVE: &str = "a ZIP archive";

/// The accepted kinds that their signature alone tells apart, as messages call them.
const PICTURES: [(FileType, &str); 7] = [
    (FileType::Jpeg, "a JPEG picture"),
    (FileType::Png, "a PNG picture"),
    (FileType::Gif, "a GIF picture"),
    (FileType::Tiff, "a TIFF picture"),
    (FileType::Webp, "a WebP picture"),
    (FileType::Mp4, "an MP4 or QuickTime film"),
    (FileType::Bmp, "a BMP picture"),
];

/// See [`FileType::check_content`].
pub(super) fn check(expected: FileType, head: &[u8]) -> Result<(), FileRefusal> {
    let head = &head[..head.len().min(CONTENT_HEAD_BYTES)];
    if head.is_empty() {
        return Err(FileRefusal::Empty);
    }
    if let Some(found) = executable(head) {
        return Err(FileRefusal::Executable { found });
    }
    let html_fits = matches!(expected, FileType::Html | FileType::Xml);
    if !html_fits && is_html(head) {
        return Err(FileRefusal::HtmlPage { expected });
    }
    let contradiction = match expected {
        FileType::Txt | FileType::Csv | FileType::Json | FileType::Xml | FileType::Html => binary_format(head),
        FileType::Esx => binary_format(head).filter(|found| *found != ZIP_ARCHIVE),
        FileType::Pdf => (!is_pdf(head)).then(|| describe(head)),
        _ => (!has_signature(expected, head)).then(|| describe(head)),
    };
    match contradiction {
        Some(found) => Err(FileRefusal::Content { found, expected }),
        None => Ok(()),
    }
}

/// The signature that a binary kind must begin with.
fn has_signature(expected: FileType, head: &[u8]) -> bool {
    let starts = |signature: &[u8]| head.starts_with(signature);
    match expected {
        FileType::Jpeg => starts(b"\xFF\xD8\xFF"),
        FileType::Png => starts(b"\x89PNG\r\n\x1A\n"),
        FileType::Gif => starts(b"GIF87a") || starts(b"GIF89a"),
        FileType::Bmp => starts(b"BM"),
        // TIFF 6.0, section 2, and BigTIFF (version 43).
        FileType::Tiff => starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+"),
        FileType::Webp => starts(b"RIFF") && head.get(8..12) == Some(b"WEBP"),
        FileType::Mov | FileType::Mp4 => is_film(head),
        // An encrypted Office Open XML file is an OLE2 file ([MS-OFFCRYPTO], section 2.3).
        FileType::Docx | FileType::Xlsx | FileType::Xls => starts(ZIP) || starts(OLE2),
        FileType::Doc => starts(ZIP) || starts(OLE2) || starts(b"{\\rtf"),
        _ => true,
    }
}

/// `%PDF-` within the first 1024 bytes (ISO 32000-1, annex H.3, note 13), not behind another format's signature.
fn is_pdf(head: &[u8]) -> bool {
    let window = &head[..head.len().min(1024)];
    let found = window.windows(5).position(|bytes| bytes == b"%PDF-");
    found.is_some_and(|at| at == 0 || binary_format(head).is_none_or(|format| format == "application/pdf"))
}

/// An ISO base media file (ISO/IEC 14496-12) or a QuickTime file of before there was `ftyp`.
fn is_film(head: &[u8]) -> bool {
    const STILL_IMAGES: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"avis", b"jp2 "];
    match head.get(4..8) {
        Some(b"ftyp") => head.get(8..12).is_none_or(|brand| !STILL_IMAGES.contains(&brand)),
        Some(b"moov" | b"mdat" | b"free" | b"skip" | b"wide" | b"pnot") => true,
        _ => false,
    }
}

/// What runs when it is opened, by its first bytes.
fn executable(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(UTF8_BOM).unwrap_or(head);
    match head {
        // Every DOS header holds zeros, a text that begins with these letters does not.
        [b'M', b'Z', ..] if head.iter().take(64).any(|byte| is_binary(*byte)) => Some("a Windows program (PE)"),
        [0x7F, b'E', b'L', b'F', ..] => Some("a Linux program (ELF)"),
        // <mach-o/loader.h>, either byte order, 32 and 64 bits.
        [0xFE, 0xED, 0xFA, 0xCE | 0xCF, ..] | [0xCE | 0xCF, 0xFA, 0xED, 0xFE, ..] => Some("a macOS program (Mach-O)"),
        // Shared by Java classes and Mach-O universal binaries (<mach-o/fat.h>).
        [0xCA, 0xFE, 0xBA, 0xBE | 0xBF, ..] | [0xBE | 0xBF, 0xBA, 0xFE, 0xCA, ..] => {
            Some("a Java class or macOS program")
        }
        [0x00, b'a', b's', b'm', ..] => Some("a WebAssembly module"),
        [b'd', b'e', b'x', b'\n', ..] => Some("an Android program (dex)"),
        // [MS-SHLLINK], section 2.1
        [0x4C, 0x00, 0x00, 0x00, 0x01, 0x14, 0x02, 0x00, ..] => Some("a Windows shortcut"),
        _ if text.starts_with(b"#!") => Some("a script (`#!`)"),
        _ if head.starts_with(ZIP) && is_program_archive(head) => Some("a Java or Android archive"),
        _ if head.starts_with(OLE2) && is_installer(head) => Some("a Windows installer (MSI)"),
        _ => None,
    }
}

/// A ZIP file that begins with a manifest: `jar` and `apk` tools write it first.
fn is_program_archive(head: &[u8]) -> bool {
    let name = head.get(30..).unwrap_or_default();
    name.starts_with(b"META-INF/") || name.starts_with(b"AndroidManifest.xml")
}

/// An OLE2 file whose root storage has the class of the Windows installer, if its directory lies in the head ([MS-CFB], sections 2.2 and 2.6).
fn is_installer(head: &[u8]) -> bool {
    const INSTALLER_CLASS: [u8; 16] = [0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];
    let (Some(&[low, high]), Some(&[a, b, c, d])) = (
        head.get(30..32).and_then(<[u8]>::first_chunk),
        head.get(48..52).and_then(<[u8]>::first_chunk),
    ) else {
        return false;
    };
    let sector_bytes = match u16::from_le_bytes([low, high]) {
        9 => 512,
        12 => 4096,
        _ => return false,
    };
    let class_at = (u64::from(u32::from_le_bytes([a, b, c, d])) + 1) * sector_bytes + 80;
    usize::try_from(class_at)
        .ok()
        .and_then(|at| head.get(at..at.checked_add(16)?))
        .is_some_and(|class| class == INSTALLER_CLASS)
}

/// A web page, behind whatever browsers skip: byte order mark, white space, comments, XML prolog.
fn is_html(head: &[u8]) -> bool {
    const TAGS: [&str; 16] = [
        "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body", "br",
        "p", "meta",
    ];
    let text = decode(head).to_ascii_lowercase();
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}' || c == '\0');
    // With a prolog it is XML, where `<table>` may mean anything: only XHTML is a page then.
    let mut is_xml = false;
    loop {
        let skipped = if let Some(comment) = rest.strip_prefix("<!--") {
            // A comment longer than the head: only markup begins like that.
            let Some((_, behind)) = comment.split_once("-->") else {
                return true;
            };
            behind
        } else if let Some(instruction) = rest.strip_prefix("<?xml") {
            let Some((_, behind)) = instruction.split_once("?>") else {
                return false;
            };
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
    rest.strip_prefix('<').is_some_and(|tag| {
        let name: &str = tag
            .split(|c: char| c.is_whitespace() || c == '>' || c == '/')
            .next()
            .unwrap_or_default();
        // Cut off by the end of the head it is no tag yet.
        name.len() < tag.len() && (name == "html" || !is_xml && TAGS.contains(&name))
    })
}

/// The format of a file that is not text; `None` for text and for what nobody recognises.
fn binary_format(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"%PDF-") {
        return Some("a PDF file");
    }
    if head.starts_with(b"{\\rtf") {
        return Some("an RTF file");
    }
    // Two letters make some of the signatures: `BM` begins a bitmap, and a table with a body mass column.
    let is_text = has_utf16_mark(head) || !head.iter().any(|byte| is_binary(*byte));
    if is_text {
        return None;
    }
    if head.starts_with(ZIP) {
        return Some(ZIP_ARCHIVE);
    }
    if head.starts_with(OLE2) {
        return Some("an OLE2 file (old Office)");
    }
    let picture = PICTURES.into_iter().find(|(kind, _)| has_signature(*kind, head));
    if let Some((_, name)) = picture {
        return Some(name);
    }
    infer::get(head).map(|kind| kind.mime_type())
}

/// For the message: what the first bytes look like.
fn describe(head: &[u8]) -> &'static str {
    if let Some(format) = binary_format(head) {
        return format;
    }
    if head.iter().any(|byte| is_binary(*byte)) {
        "of no known format"
    } else {
        "plain text"
    }
}

/// A "binary data byte" of the MIME Sniffing standard, section 3.
const fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

fn has_utf16_mark(head: &[u8]) -> bool {
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF")
}

/// The head as text, whatever its encoding; only ASCII letters matter to the callers.
fn decode(head: &[u8]) -> Cow<'_, str> {
    let unit: fn([u8; 2]) -> u16 = match head {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(head),
    };
    let units: Vec<u16> = head.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}
