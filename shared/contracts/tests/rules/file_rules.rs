//! Extensions, declared types and first bytes: what must pass and what must not.

use proptest::prelude::*;
use url::Url;
use xact_contracts::file_rules::{
    CONTENT_HEAD_BYTES, FileRefusal, FileType, allowed_type, extension_of, file_type_label,
};

const SPECIFIED: [&str; 22] = [
    "pdf", "xml", "txt", "csv", "json", "html", "htm", "xls", "xlsx", "doc", "docx", "esx", "jpg", "jpeg", "png",
    "gif", "bmp", "tiff", "tif", "webp", "mov", "mp4",
];

fn url(rest: &str) -> Url {
    Url::parse(&format!("https://claimxperience.com/{rest}")).unwrap()
}

fn file_type(extension: &str) -> FileType {
    FileType::from_extension(extension).unwrap()
}

/// A word for the outcome of a content check.
fn content(extension: &str, head: &[u8]) -> &'static str {
    match file_type(extension).check_content(head) {
        Ok(()) => "ok",
        Err(FileRefusal::Empty) => "empty",
        Err(FileRefusal::Executable { .. }) => "executable",
        Err(FileRefusal::HtmlPage { .. }) => "html",
        Err(FileRefusal::Content { .. }) => "content",
        Err(_) => "another refusal",
    }
}

/// The shortest bytes that pass for a file of that extension.
fn sample(extension: &str) -> &'static [u8] {
    match extension {
        "pdf" => b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj",
        "xml" => b"<?xml version=\"1.0\"?><claim/>",
        "txt" => b"roof damaged",
        "csv" => b"a,b\r\n1,2\r\n",
        "json" => b"{\"a\":1}",
        "html" | "htm" => b"<!DOCTYPE html><html></html>",
        "xls" | "doc" => b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0\0\0\0\0\0\0",
        "xlsx" | "docx" | "esx" => {
            b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml"
        }
        "jpg" | "jpeg" => b"\xFF\xD8\xFF\xE0\0\x10JFIF\0",
        "png" => b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR",
        "gif" => b"GIF89a\x01\0\x01\0\x80\0\0",
        "bmp" => b"BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
        "tiff" | "tif" => b"II*\0\x08\0\0\0",
        "webp" => b"RIFF\x24\0\0\0WEBPVP8 ",
        "mov" => b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        "mp4" => b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        _ => unreachable!("not specified"),
    }
}

const EXECUTABLES: [&[u8]; 14] = [
    b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xFF\xFF\0\0",
    b"\x7FELF\x02\x01\x01\0",
    b"\xFE\xED\xFA\xCE\0\0\0\x12",
    b"\xFE\xED\xFA\xCF\0\0\0\x12",
    b"\xCE\xFA\xED\xFE\x07\0\0\0",
    b"\xCF\xFA\xED\xFE\x07\0\0\x01",
    b"\xCA\xFE\xBA\xBE\0\0\0\x34",
    b"#!/bin/sh\nrm -rf /\n",
    b"\xEF\xBB\xBF#!/usr/bin/env python3\n",
    b"\0asm\x01\0\0\0",
    b"dex\n035\0",
    b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xC0",
    b"PK\x03\x04\x14\0\x08\x08\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\x04\0META-INF/MANIFEST.MF",
    b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x05\0\0\0a.txtxPK\x03\x04\x14\0\x08\x08\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0A.class",
];

const PAGES: [&[u8]; 20] = [
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

#[test]
fn the_extensions_are_those_of_the_specification() {
    assert_eq!(FileType::extensions().collect::<Vec<_>>(), SPECIFIED);
}

#[test]
fn the_extension_comes_from_the_path_else_from_the_query() {
    let table = [
        ("a.pdf", Some("pdf")),
        ("a.PDF", Some("pdf")),
        ("x/y.z/a.tar.Gz", Some("gz")),
        ("a%2Epdf", Some("pdf")),
        ("a%20b.p%64f", Some("pdf")),
        ("a.pdf%20", Some("pdf")),
        ("a.pdf.", Some("pdf")),
        (".pdf", Some("pdf")),
        ("a.pdf?filename=b.png", Some("pdf")),
        ("a.exe?filename=b.png", Some("exe")),
        ("download?filename=b.PNG", Some("png")),
        ("download?file=b.png", Some("png")),
        ("download?name=b.png", Some("png")),
        ("download?FileName=b.png", Some("png")),
        ("download?name=c.gif&filename=b.png", Some("png")),
        ("download?filename=b&file=c.gif", Some("gif")),
        ("?filename=b%2Epng", Some("png")),
        ("folder.pdf/", None),
        ("folder.pdf/?name=a.png", Some("png")),
        ("download?filename=..%2F..%2Fb.png", Some("png")),
        ("download?id=b.png", None),
        ("download", None),
        ("", None),
        ("a.", None),
        ("...", None),
        ("a.p df", None),
        ("a.pdf;v=1", None),
        ("a.pdf%00", None),
        ("a.exe%00.pdf", Some("pdf")),
        ("a.pdf%00.exe", Some("exe")),
        ("a.größe", None),
        ("a.abcdefghijklmnop", Some("abcdefghijklmnop")),
        ("a.abcdefghijklmnopq", None),
    ];
    for (rest, expected) in table {
        assert_eq!(extension_of(&url(rest)).as_deref(), expected, "{rest}");
    }
}

#[test]
fn unknown_and_missing_extensions_are_refused_and_told_apart() {
    assert_eq!(allowed_type(&url("a.PDF")), Ok(FileType::Pdf));
    assert_eq!(allowed_type(&url("a.jpeg")), allowed_type(&url("a.jpg")));
    assert_eq!(allowed_type(&url("a")), Err(FileRefusal::NoExtension));
    for extension in ["exe", "zip", "js", "svg", "php", "bat", "pdfx", "7z"] {
        let refusal = allowed_type(&url(&format!("a.{extension}"))).unwrap_err();
        assert_eq!(
            refusal,
            FileRefusal::UnknownExtension {
                extension: extension.to_owned()
            }
        );
        assert!(refusal.to_string().contains("accepted are pdf, xml"), "{refusal}");
    }
}

#[test]
fn labels_are_upper_case_or_unknown() {
    assert_eq!(file_type_label(&url("a.jpeg")), "JPEG");
    assert_eq!(file_type_label(&url("a.exe")), "EXE");
    assert_eq!(file_type_label(&url("a")), "UNKNOWN");
    assert_eq!(file_type_label(&url("a.p%2Fdf")), "UNKNOWN");
}

#[test]
fn real_media_types_fit() {
    let table = [
        ("pdf", "application/pdf"),
        ("pdf", "Application/PDF; charset=binary"),
        ("xml", "application/xml"),
        ("xml", "text/xml;charset=UTF-8"),
        ("txt", "text/plain; charset=utf-8"),
        ("csv", "text/csv"),
        ("csv", "application/csv"),
        ("csv", "application/vnd.ms-excel"),
        ("json", "application/json"),
        ("json", "text/json"),
        ("html", "text/html; charset=utf-8"),
        ("htm", "text/html"),
        ("xls", "application/vnd.ms-excel"),
        (
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        ("xlsx", "application/zip"),
        ("doc", "application/msword"),
        (
            "docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("docx", "application/zip"),
        ("esx", "application/zip"),
        ("esx", "application/x-zip-compressed"),
        ("esx", "application/xml"),
        ("esx", "text/xml"),
        ("esx", "application/vnd.xactware.esx"),
        ("jpg", "image/jpeg"),
        ("jpg", "image/jpg"),
        ("jpeg", "image/pjpeg"),
        ("png", "image/png"),
        ("gif", "image/gif"),
        ("bmp", "image/bmp"),
        ("tiff", "image/tiff"),
        ("tif", "image/tiff"),
        ("webp", "image/webp"),
        ("mov", "video/quicktime"),
        ("mp4", "video/mp4"),
    ];
    for (extension, declared) in table {
        assert_eq!(
            file_type(extension).check_declared(Some(declared)),
            Ok(()),
            "{extension} as {declared}"
        );
    }
    for extension in SPECIFIED {
        for declared in [
            None,
            Some(""),
            Some(" ; charset=utf-8"),
            Some("application/octet-stream"),
            Some("binary/octet-stream"),
            Some("APPLICATION/OCTET-STREAM; x=y"),
        ] {
            assert_eq!(
                file_type(extension).check_declared(declared),
                Ok(()),
                "{extension} as {declared:?}"
            );
        }
    }
}

#[test]
fn other_media_types_are_refused() {
    let table = [
        ("pdf", "text/html"),
        ("pdf", "text/plain"),
        ("pdf", "image/png"),
        ("pdf", "application/pdfx"),
        ("pdf", "application/x-msdownload"),
        ("xml", "text/html"),
        ("txt", "text/html"),
        ("csv", "application/json"),
        ("json", "text/html"),
        ("html", "application/pdf"),
        ("xls", "application/zip"),
        ("xlsx", "text/html"),
        ("docx", "application/pdf"),
        ("esx", "text/html"),
        ("esx", "application/vnd.ms-excel"),
        ("jpg", "image/png"),
        ("png", "image/jpeg"),
        ("png", "image/svg+xml"),
        ("mp4", "image/gif"),
        ("mov", "audio/mpeg"),
        ("pdf", "nonsense"),
        ("pdf", "application/octet-streams"),
    ];
    for (extension, declared) in table {
        let refusal = file_type(extension).check_declared(Some(declared)).unwrap_err();
        assert!(
            matches!(refusal, FileRefusal::DeclaredType { .. }),
            "{extension} as {declared}"
        );
    }
}

#[test]
fn each_kind_accepts_its_own_content() {
    for extension in SPECIFIED {
        assert_eq!(content(extension, sample(extension)), "ok", "{extension}");
    }
    let table: [(&str, &[u8]); 33] = [
        ("pdf", b"\xEF\xBB\xBF%PDF-1.4"),
        ("pdf", b"junk of a mail gateway\r\n\r\n%PDF-1.4"),
        ("gif", b"GIF87a\x01"),
        ("tif", b"MM\0*\0\0\0\x08"),
        ("tif", b"II+\0\x08\0\0\0"),
        ("docx", sample("doc")),
        ("xlsx", sample("xls")),
        ("doc", b"{\\rtf1\\ansi"),
        ("doc", sample("docx")),
        ("xls", sample("xlsx")),
        ("esx", b"<?xml version=\"1.0\"?><XACTDOC/>"),
        ("esx", b"<?xml version=\"1.0\"?><table/>"),
        ("esx", b"any text"),
        ("mov", b"\0\0\0\x08wide\0\0\0\0mdat"),
        ("mov", b"\0\0\x12\x34moov\0\0\0\0mvhd"),
        ("mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isom"),
        ("csv", b"BMI,weight\r\n22,70\r\n"),
        ("csv", b"MZ,weight\r\n22,70\r\n"),
        ("txt", b"caf\xE9 \x93quoted\x94 in Windows-1252"),
        ("txt", b"\xFF\xFEr\0o\0o\0f\0"),
        ("xml", b"\xFE\xFF\0<\0a\0/\0>"),
        ("xml", b"<?xml version=\"1.0\"?><!DOCTYPE html><html/>"),
        ("html", b"no tag at all"),
        (
            "html",
            b"<html>damaged\x07\0 in one place, as files are that a mail gateway has handled</html>",
        ),
        ("xml", b" \n<claim/>"),
        ("xml", b"<table><a>1</a></table>"),
        ("json", b"\xEF\xBB\xBF [1]"),
        ("json", b"null"),
        ("txt", b"end of a DOS text\x1A"),
        ("txt", b"r\0o\0o\0f\0 \x000\x041\x04"),
        ("csv", b"BMI and nothing that a bitmap's header has\r\n"),
        ("xls", b"\x09\x04\x06\0\0\0\x10\0"),
        ("xls", b"\x09\0\x04\0\x02\0\x10\0"),
    ];
    for (extension, head) in table {
        assert_eq!(content(extension, head), "ok", "{extension}: {}", head.escape_ascii());
    }
}

#[test]
fn an_empty_file_is_refused() {
    for extension in SPECIFIED {
        assert_eq!(content(extension, b""), "empty", "{extension}");
    }
}

#[test]
fn executables_are_refused_under_every_name() {
    for extension in SPECIFIED {
        for head in EXECUTABLES {
            assert_eq!(
                content(extension, head),
                "executable",
                "{extension}: {}",
                head.escape_ascii()
            );
        }
    }
}

#[test]
fn a_windows_installer_is_refused_although_it_is_an_ole2_file() {
    let mut installer = sample("doc").to_vec();
    installer.resize(4096, 0);
    installer[30..32].copy_from_slice(&9_u16.to_le_bytes());
    installer[48..52].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(content("doc", &installer), "ok");
    let class = [0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];
    let at = 3 * 512 + 80;
    installer[at..at + 16].copy_from_slice(&class);
    assert_eq!(content("doc", &installer), "executable");
    // A directory beyond the head, or nonsense, is no reason to panic.
    installer[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(content("doc", &installer), "ok");
}

/// Whether an XML file may begin like that page: with a prolog, or with an element that HTML has as well.
fn is_well_formed_perhaps(page: &[u8]) -> bool {
    let text = String::from_utf8_lossy(page).replace('\0', "").to_lowercase();
    text.starts_with("<?xml") || !(text.contains("<html") || text.contains("<!doctype html"))
}

#[test]
fn web_pages_are_refused_except_where_they_belong() {
    for extension in SPECIFIED {
        for page in PAGES {
            let fits = match extension {
                "html" | "htm" => true,
                "xml" => is_well_formed_perhaps(page),
                _ => false,
            };
            let expected = if fits { "ok" } else { "html" };
            assert_eq!(
                content(extension, page),
                expected,
                "{extension}: {}",
                page.escape_ascii()
            );
        }
    }
}

#[test]
fn xml_and_text_are_no_web_pages() {
    for head in [
        &b"<?xml version=\"1.0\"?><error/>"[..],
        b"<!-- a comment --><claim/>",
        b"<htmlish>",
        b"<!DOCTYPE claim>",
        b"a < b and <html> later",
        b"<",
        b"<html",
    ] {
        assert_eq!(content("esx", head), "ok", "{}", head.escape_ascii());
    }
}

#[test]
fn content_of_another_kind_is_refused() {
    let binary = [
        "pdf", "xls", "doc", "jpg", "png", "gif", "bmp", "tiff", "webp", "mp4", "docx",
    ];
    let twins = [["xls", "doc"], ["xls", "docx"], ["doc", "docx"]];
    for expected in binary {
        for served in binary {
            let same = expected == served
                || twins
                    .iter()
                    .any(|twin| twin.contains(&expected) && twin.contains(&served));
            let outcome = if same { "ok" } else { "content" };
            assert_eq!(content(expected, sample(served)), outcome, "{served} as {expected}");
        }
        for text in [
            &b"just text"[..],
            b"{\"error\":\"expired\"}",
            b"<?xml version=\"1.0\"?><Error/>",
            b"x",
        ] {
            assert_eq!(content(expected, text), "content", "text as {expected}");
        }
    }
    for text in ["xml", "txt", "csv", "json", "html"] {
        for served in binary {
            assert_eq!(content(text, sample(served)), "content", "{served} as {text}");
        }
        assert_eq!(content(text, b"{\\rtf1"), "content");
        assert_eq!(content(text, b"\x1F\x8B\x08\0\0\0\0\0"), "content");
        assert_eq!(content(text, b"7z\xBC\xAF\x27\x1C\0\x04"), "content");
    }
    for served in ["pdf", "png", "jpg", "doc", "mp4"] {
        assert_eq!(content("esx", sample(served)), "content", "{served} as esx");
    }
    for (expected, served) in [
        ("json", &b"<?xml version=\"1.0\"?><Error/>"[..]),
        ("json", b"tomorrow"),
        ("json", b" \n"),
        ("xml", b"{\"error\":\"expired\"}"),
        ("bmp", b"BMI,weight\r\n22,70\r\n"),
        ("txt", b"\x93\x02\x88\x14\x1D\x05\xC8\x19\x9E\x11"),
    ] {
        assert_eq!(
            content(expected, served),
            "content",
            "{} as {expected}",
            served.escape_ascii()
        );
    }
    assert_eq!(content("mp4", b"\0\0\0\x18ftypheic\0\0\0\0"), "content");
    assert_eq!(content("webp", b"RIFF\x24\0\0\0WAVEfmt "), "content");
}

#[test]
fn a_pdf_marker_too_late_or_behind_another_signature_does_not_count() {
    let mut late = vec![b' '; 1020];
    late.extend_from_slice(b"%PDF-1.4");
    assert_eq!(content("pdf", &late), "content");
    late.drain(..1);
    assert_eq!(content("pdf", &late), "ok");
    let mut polyglot = sample("png").to_vec();
    polyglot.extend_from_slice(b"%PDF-1.4");
    assert_eq!(content("pdf", &polyglot), "content");
    assert_eq!(content("pdf", b"<html>%PDF-1.4"), "html");
}

#[test]
fn refusals_say_what_was_found() {
    let refusal = FileType::Pdf.check_content(sample("png")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the file's first bytes are a PNG picture, not those of a PDF file"
    );
    let refusal = FileType::Png.check_content(b"text").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the file's first bytes are plain text, not those of a PNG file"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", b"PK\x03\x04", b"\xFF\xFE", b"\xFE\xFF", b"<!--", b"<?xml", b"<!doctype",
            b"RIFF", b"%PDF-", b"\0\0\0\x18ftyp", b"<\0", b"\0<", b"MZ",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let head = [start, &rest[..]].concat();
        for extension in SPECIFIED {
            let _ = file_type(extension).check_content(&head);
        }
    }

    #[test]
    fn bytes_behind_the_head_change_nothing(rest in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut head = b"some text ".repeat(CONTENT_HEAD_BYTES / 10 + 1);
        head.truncate(CONTENT_HEAD_BYTES);
        head.extend(rest);
        prop_assert_eq!(content("txt", &head), "ok");
    }

    #[test]
    fn any_url_and_declared_type_are_judged_without_panic(rest in ".{0,40}", declared in ".{0,40}") {
        if let Ok(url) = Url::parse(&format!("https://h/{rest}")) {
            let label = file_type_label(&url);
            prop_assert!(label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
            let _ = allowed_type(&url);
        }
        let _ = FileType::Csv.check_declared(Some(&declared));
    }
}
