//! Any first bytes under each name, and without one.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::file_rules::{CONTENT_HEAD_BYTES, FileRefusedError, FileType, judge};

const RUNS: [&[u8]; 8] = [
    b"MZ\0",
    b"\x7FELF",
    b"#!",
    b"\xEF\xBB\xBF#!",
    b"\xCA\xFE\xBA\xBE",
    b"\xCF\xFA\xED\xFE",
    b"\0asm",
    b"dex\n",
];

fuzz_target!(|head: &[u8]| {
    for extension in FileType::extensions().chain([""]) {
        let named = FileType::from_extension(extension);
        let verdict = judge(named, None, head);
        let looked_at = &head[..head.len().min(CONTENT_HEAD_BYTES)];
        assert_eq!(judge(named, None, looked_at), verdict);
        if let Ok(judged) = verdict {
            fits(judged.file_type, looked_at);
            // What is not proven is what its name says; pages are stored under their own name alone.
            assert!(named.is_some() || !judged.file_type.is_text());
            assert_eq!(named == Some(FileType::Html), judged.file_type == FileType::Html);
        }
        for start in RUNS {
            let refusal = judge(named, None, &[start, head].concat());
            assert!(
                matches!(refusal, Err(FileRefusedError::Executable(_))),
                "{extension}: {start:?}"
            );
        }
        // Office and PDF readers take some pages; under no other name is one stored.
        let is_page_of_others = named.is_some_and(|kind| {
            matches!(
                kind,
                FileType::Txt | FileType::Csv | FileType::Json | FileType::Jpeg | FileType::Mp4 | FileType::Esx
            )
        });
        if is_page_of_others {
            let refusal = judge(named, None, &[b" \n<!-- --><HTML>", head].concat());
            assert!(matches!(refusal, Err(FileRefusedError::HtmlPage(_))), "{extension}");
        }
    }
});

/// What an accepted file begins with at the least.
fn fits(kind: FileType, head: &[u8]) {
    let starts = |signatures: &[&[u8]]| signatures.iter().any(|signature| head.starts_with(signature));
    let fits = match kind {
        FileType::Pdf => head.windows(5).take(1024).any(|bytes| bytes == b"%PDF-"),
        FileType::Png => starts(&[b"\x89PNG"]),
        FileType::Jpeg => starts(&[b"\xFF\xD8\xFF"]),
        FileType::Gif => starts(&[b"GIF8"]),
        FileType::Webp => starts(&[b"RIFF"]),
        FileType::Xlsx | FileType::Docx => starts(&[b"PK\x03\x04", b"\xD0\xCF\x11\xE0"]),
        FileType::Heic => head.windows(4).any(|bytes| bytes == b"ftyp"),
        FileType::Csv | FileType::Txt | FileType::Json => !starts(&[b"%PDF-", b"{\\rtf", b"PK\x03\x04"]),
        _ => !head.is_empty(),
    };
    assert!(fits, "{kind}");
}
