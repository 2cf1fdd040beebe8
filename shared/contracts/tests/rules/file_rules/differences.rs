//! A file whose content differs from its name is stored as its content, and the difference is reported.

use super::samples::{PROVEN, SPECIFIED, content, file_type, sample};
use xact_contracts::file_rules::judge;

#[test]
fn what_the_content_proves_is_stored_under_every_name() {
    for served in PROVEN {
        let (head, own) = (sample(served), file_type(served).label());
        // But for the names of pages: `dangerous` has the reason.
        for name in SPECIFIED.into_iter().filter(|name| !name.starts_with("htm")) {
            assert_eq!(content(name, &head), own, "{served} as {name}");
            let judged = judge(Some(file_type(name)), None, &head).unwrap();
            assert_eq!(
                judged.differs(),
                file_type(name) != file_type(served),
                "{served} as {name}"
            );
            assert_eq!(judged.named, Some(file_type(name)));
        }
        assert_eq!(content("", &head), own, "{served} without a name");
        assert!(
            !judge(None, None, &head).unwrap().differs(),
            "no name says nothing else"
        );
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
            let expected = if extension == "gif" && text.starts_with(b"GIF8") {
                "GIF"
            } else {
                "content"
            };
            assert_eq!(
                content(extension, text),
                expected,
                "{} as {extension}",
                text.escape_ascii()
            );
        }
        assert_eq!(content("", text), "unnamed", "{}", text.escape_ascii());
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
        assert_eq!(
            content(expected, served),
            "content",
            "{} as {expected}",
            served.escape_ascii()
        );
    }
}

#[test]
fn refusals_say_what_was_found() {
    let text = |name: &str, head: &[u8]| judge(Some(file_type(name)), None, head).unwrap_err().to_string();
    assert_eq!(
        text("png", b"text"),
        "the file's first bytes are plain text, not those of a PNG file or of another accepted kind"
    );
    assert_eq!(
        text("pdf", b"<html>"),
        "the file is an HTML page instead of a PDF file: the attachment source probably answered with an error page"
    );
    assert!(text("docx", &super::samples::zip(&["a.txt"])).contains("a ZIP archive"));
    let unnamed = judge(None, None, b"text").unwrap_err().to_string();
    assert!(
        unnamed.contains("Content-Disposition") && unnamed.contains("plain text"),
        "{unnamed}"
    );
    let page = judge(None, None, b"<html>").unwrap_err().to_string();
    assert!(page.contains("instead of a picture, film or document file"), "{page}");
    let declared = judge(Some(file_type("csv")), Some("text/html"), b"a,b")
        .unwrap_err()
        .to_string();
    assert!(
        declared.contains("`text/html`") && declared.contains("CSV"),
        "{declared}"
    );
}
