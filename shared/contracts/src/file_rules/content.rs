//! What the first bytes of a file say: refused if they contradict its kind, and always if they run.
//!
//! Signatures follow the [WHATWG MIME Sniffing standard](https://mimesniff.spec.whatwg.org/) where it
//! has them; the other formats' specifications are named beside them. What stands behind the head is not seen: a JAR at
//! the end of a GIF passes as the GIF that it is to whoever opens it by its extension.

use super::{FileRefusal, FileType};
use std::borrow::Cow;

/// As many bytes as the rules look at.
pub const CONTENT_HEAD_BYTES: usize = 8 * 1024;

const OLE2: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const ZIP: &[u8] = b"PK\x03\x04";
const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";
const ZIP_ARCHIVE: &str = "a ZIP archive";
const UNKNOWN: &str = "of no known format";

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
    if expected != FileType::Html && is_html(expected, head) {
        return Err(FileRefusal::HtmlPage { expected });
    }
    let contradiction = match expected {
        FileType::Txt | FileType::Csv | FileType::Html => not_text(head),
        FileType::Esx => not_text(head).filter(|found| *found != ZIP_ARCHIVE),
        FileType::Xml => not_text(head).or_else(|| (!begins_as_xml(head)).then(|| describe(head))),
        FileType::Json => not_text(head).or_else(|| (!begins_as_json(head)).then(|| describe(head))),
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
        // Two letters begin many a text as well: the size of the header that follows is one of eight.
        FileType::Bmp => {
            starts(b"BM")
                && matches!(
                    head.get(14..18),
                    Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
                )
        }
        // TIFF 6.0, section 2, and BigTIFF (version 43).
        FileType::Tiff => starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+"),
        FileType::Webp => starts(b"RIFF") && head.get(8..12) == Some(b"WEBP"),
        FileType::Mov | FileType::Mp4 => is_film(head),
        // An encrypted Office Open XML file is an OLE2 file ([MS-OFFCRYPTO], section 2.3).
        FileType::Docx | FileType::Xlsx => starts(ZIP) || starts(OLE2),
        FileType::Xls => starts(ZIP) || starts(OLE2) || is_early_excel(head),
        FileType::Doc => starts(ZIP) || starts(OLE2) || starts(b"{\\rtf"),
        _ => true,
    }
}

/// A worksheet of Excel 2 to 4, which wrote no OLE2: its first record, by version ([MS-XLS] knows only the later ones;
/// "OpenOffice.org's Documentation of the Microsoft Excel File Format", section 5.8).
fn is_early_excel(head: &[u8]) -> bool {
    matches!(head, [0x09, 0x00, 4, 0, ..] | [0x09, 0x02 | 0x04, 6, 0, ..])
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

/// A ZIP file with a member, as far as the head shows them, that only programs have. `jar` and `apk` tools write the
/// manifest first, but nothing asks for that order.
fn is_program_archive(head: &[u8]) -> bool {
    let mut headers = (0..head.len()).filter(|at| head[*at..].starts_with(ZIP));
    headers.any(|at| {
        let header = &head[at..];
        let (Some(&[low, high]), Some(rest)) = (header.get(26..28).and_then(<[u8]>::first_chunk), header.get(30..))
        else {
            return false;
        };
        let name = &rest[..rest.len().min(u16::from_le_bytes([low, high]).into())];
        // OpenDocument has a folder of that name as well, but not at the front.
        at == 0 && name.starts_with(b"META-INF/")
            || name == b"META-INF/MANIFEST.MF"
            || name == b"AndroidManifest.xml"
            || name.ends_with(b".class")
            || name.ends_with(b".dex")
    })
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

/// A web page instead of a file of the kind `expected`, behind whatever browsers skip: byte order mark, white space,
/// comments, XML prolog.
fn is_html(expected: FileType, head: &[u8]) -> bool {
    const TAGS: [&str; 16] = [
        "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body", "br",
        "p", "meta",
    ];
    let text = decode(head).to_ascii_lowercase();
    let mut rest = skip_blank(&text);
    let xml_expected = expected == FileType::Xml;
    // In XML `<table>` may mean anything: only XHTML is a page then.
    let mut is_xml = xml_expected;
    loop {
        let skipped = if let Some(comment) = rest.strip_prefix("<!--") {
            // A comment longer than the head: only markup begins like that.
            let Some((_, behind)) = comment.split_once("-->") else {
                return !xml_expected;
            };
            behind
        } else if let Some(instruction) = rest.strip_prefix("<?xml") {
            let Some((_, behind)) = instruction.split_once("?>") else {
                return false;
            };
            // Error pages have no prolog: with one, XHTML is meant as the XML that was announced.
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
    rest.strip_prefix('<').is_some_and(|tag| {
        let name: &str = tag
            .split(|c: char| c.is_whitespace() || c == '>' || c == '/')
            .next()
            .unwrap_or_default();
        // Cut off by the end of the head it is no tag yet.
        name.len() < tag.len() && (name == "html" || !is_xml && TAGS.contains(&name))
    })
}

/// A root element, or what may stand before it (XML 1.0, production 22).
fn begins_as_xml(head: &[u8]) -> bool {
    skip_blank(&decode(head)).starts_with('<')
}

/// An object, an array or a scalar (RFC 8259, section 2).
fn begins_as_json(head: &[u8]) -> bool {
    let text = decode(head);
    let value = skip_blank(&text);
    value.starts_with(|c: char| c.is_ascii_digit() || "{[\"-".contains(c))
        || ["true", "false", "null"].iter().any(|word| value.starts_with(word))
}

fn skip_blank(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}' || c == '\0')
}

/// What a file is that is no text of any encoding; `None` for text.
fn not_text(head: &[u8]) -> Option<&'static str> {
    binary_format(head).or_else(|| (!has_utf16_mark(head) && is_full_of_binary(head)).then_some(UNKNOWN))
}

/// More than one byte in 32 is none that a text has. Old texts have some: a Ctrl-Z, printer codes, damage. UTF-16 without a
/// mark has many, but all at even or all at odd places. Compressed and encrypted data has one in ten everywhere.
fn is_full_of_binary(head: &[u8]) -> bool {
    let at = |parity: usize| {
        head.iter()
            .skip(parity)
            .step_by(2)
            .filter(|byte| is_binary(**byte))
            .count()
    };
    at(0).min(at(1)) * 64 > head.len()
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
    // It calls text by its markup whatever else is in it.
    infer::get(head)
        .filter(|kind| kind.matcher_type() != infer::MatcherType::Text)
        .map(|kind| kind.mime_type())
}

/// For the message: what the first bytes look like.
fn describe(head: &[u8]) -> &'static str {
    if let Some(format) = binary_format(head) {
        return format;
    }
    if head.iter().any(|byte| is_binary(*byte)) {
        UNKNOWN
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
