//! A file whose content differs from its name is stored as its content, and the difference is reported.

use super::samples::{PROVEN, SPECIFIED, assert_content, file_type, sample, zip};
use xact_contracts::file_rules::{FileType, judge};

#[test]
fn what_the_content_proves_is_stored_under_every_name() {
    for served in PROVEN {
        let (head, own) = (sample(served), file_type(served));
        // But for the names of pages: `dangerous` has the reason.
        for name in SPECIFIED.into_iter().filter(|name| !name.starts_with("htm")) {
            let named = Some(file_type(name));
            let judged = judge(named, None, &head).unwrap();
            let found = (judged.file_type, judged.named, judged.differs());
            assert_eq!(found, (own, named, named != Some(own)), "{served} as {name}");
        }
        let judged = judge(None, None, &head).unwrap();
        assert_eq!((judged.file_type, judged.differs()), (own, false), "{served}");
    }
}

#[test]
fn text_proves_no_other_kind() {
    let texts = [
        &b"just text"[..],
        b"{\"error\":\"expired\"}",
        b"<?xml version=\"1.0\"?><Error/>",
        b"x",
        b"GIF89a, a table of formats",
        b"BMI,weight\r\n22,70\r\n",
        b"\xFF\xFEr\0o\0o\0f\0",
    ];
    for text in texts {
        for extension in PROVEN.into_iter().filter(|extension| !extension.starts_with("xls")) {
            let is_gif = extension == "gif" && text.starts_with(b"GIF8");
            assert_content(&[extension], text, if is_gif { "GIF" } else { "content" });
        }
        assert_content(&[""], text, "unnamed");
    }
    for (expected, served) in [
        ("json", &b"<?xml version=\"1.0\"?><Error/>"[..]),
        ("json", b"tomorrow"),
        ("json", b" \n"),
        ("xml", b"{\"error\":\"expired\"}"),
        ("txt", b"\x93\x02\x88\x14\x1D\x05\xC8\x19\x9E\x11"),
        ("csv", b"\x1F\x8B\x08\0\0\0\0\0"),
        ("webp", b"RIFF\x24\0\0\0WAVEfmt "),
    ] {
        assert_content(&[expected], served, "content");
    }
}

#[test]
fn refusals_say_what_was_found() {
    let refusal = |name: &str, declared: Option<&str>, head: &[u8]| {
        judge(FileType::from_extension(name), declared, head)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("png", None, b"text"),
        "the file's first bytes are plain text, not those of a PNG file or of another accepted kind"
    );
    assert_eq!(
        refusal("pdf", None, b"<html>"),
        "the file is an HTML page instead of a PDF file: the attachment source probably answered with an error page"
    );
    assert!(refusal("docx", None, &zip(&["a.txt"])).contains("a ZIP archive"));
    let unnamed = refusal("", None, b"text");
    assert!(
        unnamed.contains("Content-Disposition") && unnamed.contains("plain text"),
        "{unnamed}"
    );
    let page = refusal("", None, b"<html>");
    assert!(page.contains("instead of a picture, film or document file"), "{page}");
    let declared = refusal("csv", Some("text/html"), b"a,b");
    assert!(
        declared.contains("`text/html`") && declared.contains("CSV"),
        "{declared}"
    );
}
