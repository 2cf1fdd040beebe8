//! Any first bytes as each kind of file.
#![no_main]

use contracts::file_rules::{CONTENT_HEAD_BYTES, FileRefusal, FileType};
use libfuzzer_sys::fuzz_target;

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
    for extension in FileType::extensions() {
        let kind = FileType::from_extension(extension).unwrap();
        let verdict = kind.check_content(head);
        let looked_at = &head[..head.len().min(CONTENT_HEAD_BYTES)];
        assert_eq!(kind.check_content(looked_at), verdict);
        if verdict.is_ok() {
            fits(kind, looked_at);
        }
        for start in RUNS {
            let refusal = kind.check_content(&[start, head].concat());
            assert!(
                matches!(refusal, Err(FileRefusal::Executable { .. })),
                "{extension}: {start:?}"
            );
        }
        if !matches!(kind, FileType::Html | FileType::Xml) {
            let refusal = kind.check_content(&[b" \n<!-- --><HTML>", head].concat());
            assert!(matches!(refusal, Err(FileRefusal::HtmlPage { .. })), "{extension}");
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
        FileType::Xlsx | FileType::Docx | FileType::Xls => starts(&[b"PK\x03\x04", b"\xD0\xCF\x11\xE0"]),
        FileType::Csv | FileType::Txt | FileType::Json => !starts(&[b"%PDF-", b"{\\rtf", b"PK\x03\x04"]),
        _ => !head.is_empty(),
    };
    assert!(fits, "{kind}");
}
