//! The name of a file in a URL and in a response.

use proptest::prelude::*;
use url::Url;

use super::samples::SPECIFIED;
use xact_contracts::file_rules::{
    FileRefusedError, FileType, extension_of, file_type_label, named_type, type_in_disposition,
};

fn url(rest: &str) -> Url {
    Url::parse(&format!("https://claimxperience.com/{rest}")).unwrap()
}

#[test]
fn the_accepted_extensions() {
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
        // An extension that is not accepted does not beat one that is.
        ("a.exe?filename=b.png", Some("png")),
        ("download.ashx?id=7&filename=roof.pdf", Some("pdf")),
        ("v2.0?filename=roof.pdf", Some("pdf")),
        ("roof.final?name=roof.docx", Some("docx")),
        ("download?filename=b.PNG", Some("png")),
        ("download?file=b.png", Some("png")),
        ("download?name=b.png", Some("png")),
        ("download?FileName=b.png", Some("png")),
        ("download?name=c.gif&filename=b.png", Some("png")),
        ("download?filename=b&file=c.gif", Some("gif")),
        ("download?filename=b.exe&file=c.gif", Some("gif")),
        ("?filename=b%2Epng", Some("png")),
        ("folder.pdf/?name=a.png", Some("png")),
        ("download?filename=..%2F..%2Fb.png", Some("png")),
        // What presigned URLs ask the server to answer with.
        (
            "9f3a?response-content-disposition=attachment%3B%20filename%3D%22roof.pdf%22",
            Some("pdf"),
        ),
        (
            "9f3a?response-content-disposition=attachment%3Bfilename%2A%3DUTF-8%27%27roof%2520a.JPG",
            Some("jpg"),
        ),
        ("9f3a?rscd=inline%3B+filename%3Droof.heic&sig=x", Some("heic")),
        ("9f3a?RSCD=file%3B%20attachment%3B%20filename%3Droof.mov", Some("mov")),
        ("9f3a.bin?rscd=attachment%3B%20filename%3Droof.mov", Some("mov")),
        ("9f3a?name=b.png&rscd=attachment%3B%20filename%3Droof.mov", Some("png")),
        ("9f3a?response-content-disposition=attachment", None),
        (
            "9f3a?response-content-disposition=attachment%3B%20filename%3Dsetup.exe",
            Some("exe"),
        ),
        ("download.aspx?filename=setup.exe", Some("exe")),
        ("setup.exe", Some("exe")),
        ("setup.exe?name=photo", Some("exe")),
        ("a.exe%00.pdf", Some("pdf")),
        ("a.pdf%00.exe", Some("exe")),
        ("a.abcdefghijklmnop", Some("abcdefghijklmnop")),
        // Nothing names the file: its content must prove what it is.
        ("download.ashx?id=7", None),
        ("export.aspx", None),
        ("v2.0", None),
        ("2026.03.02", None),
        ("download?id=b.png", None),
        ("download?name=J.Smith", None),
        ("download", None),
        ("", None),
        ("a.", None),
        ("...", None),
        ("a.p df", None),
        ("a.pdf;v=1", None),
        ("a.pdf%00", None),
        ("a.größe", None),
        ("a.abcdefghijklmnopq", None),
        ("folder.pdf/", None),
    ];
    for (rest, expected) in table {
        assert_eq!(extension_of(&url(rest)).as_deref(), expected, "{rest}");
    }
}

#[test]
fn another_kind_is_refused_and_without_a_kind_the_content_decides() {
    assert_eq!(named_type(&url("a.PDF")), Ok(Some(FileType::Pdf)));
    assert_eq!(named_type(&url("a.jpeg")), named_type(&url("a.jpg")));
    for rest in [
        "a",
        "123e4567-e89b-12d3-a456-426614174000",
        "a/download.ashx?id=1",
        "x.php",
        "x.jsp?id=1",
        "image.do",
        "v2.0",
        "?filename=roof",
    ] {
        assert_eq!(named_type(&url(rest)), Ok(None), "{rest}");
    }
    for rest in ["", "folder/", "folder/?id=1", "..."] {
        assert_eq!(named_type(&url(rest)), Err(FileRefusedError::NoFile), "{rest}");
    }
    for extension in [
        "exe", "zip", "js", "svg", "bat", "pdfx", "7z", "pl", "jar", "lnk", "hta", "dll",
    ] {
        for rest in [
            format!("a.{extension}"),
            format!("download.aspx?filename=a.{extension}"),
        ] {
            let refusal = named_type(&url(&rest)).unwrap_err();
            let extension = extension.to_owned();
            assert_eq!(refusal, FileRefusedError::UnknownExtension { extension }, "{rest}");
            assert!(refusal.to_string().contains("accepted are pdf, xml"), "{refusal}");
        }
    }
}

#[test]
fn labels_are_upper_case_or_unknown() {
    assert_eq!(file_type_label(&url("a.jpeg")), "JPEG");
    assert_eq!(file_type_label(&url("a.exe")), "EXE");
    assert_eq!(file_type_label(&url("a")), "UNKNOWN");
    assert_eq!(file_type_label(&url("download.ashx")), "UNKNOWN");
    assert_eq!(file_type_label(&url("a.p%2Fdf")), "UNKNOWN");
}

#[test]
fn a_response_may_name_an_accepted_kind() {
    for (header, expected) in [
        ("attachment; filename=\"Roof damage.PDF\"", Some(FileType::Pdf)),
        (
            "attachment; filename*=UTF-8''roof%20%C3%BC.heif; filename=x",
            Some(FileType::Heic),
        ),
        ("inline; filename=claims.csv", Some(FileType::Csv)),
        ("attachment; filename=setup.exe", None),
        ("attachment; filename=noname", None),
        ("attachment", None),
    ] {
        assert_eq!(type_in_disposition(header), expected, "{header}");
    }
}

proptest! {
    #[test]
    fn any_url_and_any_header_are_read_without_panic(rest in ".{0,40}", header in ".{0,60}") {
        if let Ok(url) = Url::parse(&format!("https://h/{rest}")) {
            let label = file_type_label(&url);
            prop_assert!(label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
            let _ = named_type(&url);
        }
        let _ = type_in_disposition(&header);
        let _ = type_in_disposition(&format!("attachment; filename*={header}; filename=\"{header}"));
    }
}
