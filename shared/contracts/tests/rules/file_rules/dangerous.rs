//! Content that is refused under every name: programs, web pages instead of files, files of two kinds at once.

use super::samples::{PAGES, PROVEN, SPECIFIED, assert_content, compound, file_type, sample, verdict, zip};

const EXECUTABLES: [&[u8]; 12] = [
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
];

/// Names that programs are given, the empty one for none.
fn names() -> impl Iterator<Item = &'static str> {
    SPECIFIED.into_iter().chain([""])
}

/// Verifies the verdict of a file under every name.
fn assert_everywhere(head: &[u8], expected: &str) {
    assert_content(&names().collect::<Vec<_>>(), head, expected);
}

#[test]
fn an_empty_file_is_refused() {
    assert_everywhere(b"", "empty");
}

#[test]
fn executables_are_refused_under_every_name_and_every_declared_type() {
    for extension in names() {
        for head in EXECUTABLES {
            for declared in [None, Some("application/pdf"), Some("image/jpeg"), Some("text/plain")] {
                let found = verdict(extension, declared, head);
                assert_eq!(found, "executable", "{extension}: {}", head.escape_ascii());
            }
        }
    }
}

#[test]
fn java_and_android_archives_are_refused_under_every_name() {
    let archives: [&[&str]; 9] = [
        &["META-INF/MANIFEST.MF", "app/Main.class"],
        &["META-INF/", "META-INF/MANIFEST.MF"],
        &["META-INF/services/java.sql.Driver"],
        &["readme.txt", "META-INF/MANIFEST.MF"],
        &["a.txt", "A.class"],
        &["AndroidManifest.xml", "res/a.png"],
        &["classes.dex"],
        // Looking like Office does not help a program.
        &["[Content_Types].xml", "word/document.xml", "app/Main.class"],
        &["META-INF\\MANIFEST.MF", "app\\Main.class"],
    ];
    for members in archives {
        assert_everywhere(&zip(members), "executable");
    }
}

#[test]
fn a_windows_installer_is_refused_although_it_is_an_ole2_file() {
    let class = [0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];
    for directory in [1, 2, 40, 100] {
        for stream in ["\u{4840}\u{3F3F}", "WordDocument"] {
            assert_everywhere(&compound(directory, class, &[stream]), "executable");
        }
    }
    let mut installer = compound(2, class, &[]);
    assert_content(&["doc"], &installer, "executable");
    // A directory beyond the head, or nonsense, is not a reason to panic.
    installer[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_content(&["doc"], &installer, "DOC");
    installer[30..32].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_content(&["doc"], &installer, "DOC");
}

#[test]
fn a_cyclic_directory_of_sectors_terminates() {
    let mut file = compound(1, [0; 16], &["A", "B", "WordDocument"]);
    // The sector of the directory follows itself, and the last entry leads to the first.
    file[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
    let last = 512 * 2 + 128 * 3;
    file[last + 68..last + 72].copy_from_slice(&1_u32.to_le_bytes());
    assert_content(&["jpg"], &file, "DOC");
}

/// Whether an XML file may begin like that page: with a prolog, or with an element that HTML has as well.
fn is_well_formed_perhaps(page: &[u8]) -> bool {
    let text = String::from_utf8_lossy(page).replace('\0', "").to_lowercase();
    text.starts_with("<?xml") || !(text.contains("<html") || text.contains("<!doctype html"))
}

#[test]
fn web_pages_are_refused_except_where_they_belong() {
    for extension in names() {
        for page in PAGES {
            let expected = match extension {
                "html" | "htm" => "HTML",
                "xml" if is_well_formed_perhaps(page) => "XML",
                _ => "html page",
            };
            for declared in [None, Some("application/octet-stream"), Some("application/pdf")] {
                let found = verdict(extension, declared, page);
                assert_eq!(found, expected, "{extension}: {}", page.escape_ascii());
            }
        }
    }
}

#[test]
fn an_error_page_with_a_table_is_not_an_office_file() {
    let office = ["xls", "xlsx", "doc", "docx"];
    for page in [
        &b"<html><head><title>Runtime Error</title></head><body><table><tr><td>500</td></tr></table></body></html>"[..],
        b"<html><body><h1>Server Error</h1><table></table></body></html>",
        b"<html><body>Access denied<table></table></body></html>",
        b"<html><body><script>location='/login'</script><table></table></body></html>",
        b"<html><body><form action=/login><table></table></form></body></html>",
        b"<table><tr><td><form action=/login></form></td></tr></table>",
    ] {
        assert_content(&office, page, "html page");
    }
    for answer in [
        &b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"[..],
        b"Access denied",
        b"Not found, sorry\r\nTry again later",
        b"{\"error\":\"a,b\",\r\n\"code\":\"c,d\"}",
    ] {
        assert_content(&office, answer, "content");
    }
}

#[test]
fn xml_and_text_are_not_web_pages() {
    for head in [
        &b"<?xml version=\"1.0\"?><error/>"[..],
        b"<!-- a comment --><claim/>",
        b"<htmlish>",
        b"<!DOCTYPE claim>",
        b"a < b and <html> later",
        b"<",
        b"<html",
    ] {
        assert_content(&["esx"], head, "ESX");
    }
}

#[test]
fn an_archive_under_a_documents_name_is_refused() {
    let members = ["claim.pdf", "setup.exe", "photos/1.jpg", "x.docx"].map(|name| zip(&[name]));
    let others = [
        &zip(&["a.txt", "b.txt"])[..],
        b"\x1F\x8B\x08\0\0\0\0\0",
        b"7z\xBC\xAF\x27\x1C\0\x04",
        b"Rar!\x1A\x07\x01\0",
        b"PK\x05\x06\0\0",
    ];
    let named: Vec<_> = SPECIFIED.into_iter().filter(|extension| *extension != "esx").collect();
    for archive in members.iter().map(Vec::as_slice).chain(others) {
        assert_content(&named, archive, "content");
        assert_content(&[""], archive, "unnamed");
    }
}

#[test]
fn a_file_of_two_kinds_is_not_a_pdf() {
    for carrier in PROVEN.into_iter().filter(|extension| *extension != "pdf") {
        let polyglot = [&sample(carrier)[..], b"%PDF-1.4\n1 0 obj"].concat();
        // A header behind the first kilobyte is not searched for.
        if polyglot.len() < 1024 {
            assert_content(&["pdf"], &polyglot, "content");
        }
        // Under its own name it is what it begins as.
        assert_content(&[carrier], &polyglot, file_type(carrier).label());
    }
    let archive = [&zip(&["claim.pdf"])[..], b"%PDF-1.4\n1 0 obj"].concat();
    assert_content(&["pdf"], &archive, "content");
}

/// Browsers run what has the name of a page, whatever it begins with.
#[test]
fn nothing_but_text_is_stored_under_the_name_of_a_page() {
    let pages = ["html", "htm"];
    for carrier in PROVEN.map(sample) {
        assert_content(&pages, &carrier, "content");
        assert_content(
            &pages,
            &[&carrier[..], b"<script>alert(1)</script>"].concat(),
            "content",
        );
    }
    assert_content(&pages, b"{\\rtf1\\ansi", "content");
    assert_content(&pages, b"\x93\x02\x88\x14\x1D\x05\xC8\x19\x9E\x11", "content");
}
