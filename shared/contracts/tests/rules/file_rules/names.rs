//! The name of a file in a URL and in a response.

use proptest::prelude::*;
use url::Url;

use super::samples::SPECIFIED;
use crate::cases::rows;
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
    // An extension that is not accepted does not take precedence over one that is. A presigned URL may name the
    // `Content-Disposition` of its response.
    let table = "
        a.pdf → pdf
        a.PDF → pdf
        x/y.z/a.tar.Gz → gz
        a%2Epdf → pdf
        a%20b.p%64f → pdf
        a.pdf%20 → pdf
        a.pdf. → pdf
        .pdf → pdf
        a.pdf?filename=b.png → pdf
        a.exe?filename=b.png → png
        download.ashx?id=7&filename=roof.pdf → pdf
        v2.0?filename=roof.pdf → pdf
        roof.final?name=roof.docx → docx
        download?filename=b.PNG → png
        download?file=b.png → png
        download?name=b.png → png
        download?FileName=b.png → png
        download?name=c.gif&filename=b.png → png
        download?filename=b&file=c.gif → gif
        download?filename=b.exe&file=c.gif → gif
        ?filename=b%2Epng → png
        folder.pdf/?name=a.png → png
        download?filename=..%2F..%2Fb.png → png
        9f3a?response-content-disposition=attachment%3B%20filename%3D%22roof.pdf%22 → pdf
        9f3a?response-content-disposition=attachment%3Bfilename%2A%3DUTF-8%27%27roof%2520a.JPG → jpg
        9f3a?rscd=inline%3B+filename%3Droof.heic&sig=x → heic
        9f3a?RSCD=file%3B%20attachment%3B%20filename%3Droof.mov → mov
        9f3a.bin?rscd=attachment%3B%20filename%3Droof.mov → mov
        9f3a?name=b.png&rscd=attachment%3B%20filename%3Droof.mov → png
        9f3a?response-content-disposition=attachment%3B%20filename%3Dsetup.exe → exe
        download.aspx?filename=setup.exe → exe
        setup.exe → exe
        setup.exe?name=photo → exe
        a.exe%00.pdf → pdf
        a.pdf%00.exe → exe
        a.abcdefghijklmnop → abcdefghijklmnop
    ";
    for [rest, expected] in rows(table) {
        assert_eq!(extension_of(&url(rest)).as_deref(), Some(expected), "{rest}");
    }
    // Nothing names the file: its content must prove what it is.
    let without = "
        download.ashx?id=7 export.aspx v2.0 2026.03.02 download?id=b.png download?name=J.Smith download a. ... a.pdf;v=1
        a.pdf%00 a.größe a.abcdefghijklmnopq folder.pdf/ 9f3a?response-content-disposition=attachment
    ";
    for rest in without.split_whitespace().chain(["", "a.p df"]) {
        assert_eq!(extension_of(&url(rest)), None, "{rest}");
    }
}

#[test]
fn another_kind_is_refused_and_without_a_kind_the_content_decides() {
    assert_eq!(named_type(&url("a.PDF")), Ok(Some(FileType::Pdf)));
    assert_eq!(named_type(&url("a.jpeg")), named_type(&url("a.jpg")));
    let unnamed =
        "a 123e4567-e89b-12d3-a456-426614174000 a/download.ashx?id=1 x.php x.jsp?id=1 image.do v2.0 ?filename=roof";
    for rest in unnamed.split(' ') {
        assert_eq!(named_type(&url(rest)), Ok(None), "{rest}");
    }
    for rest in ["", "folder/", "folder/?id=1", "..."] {
        assert_eq!(named_type(&url(rest)), Err(FileRefusedError::NoFile), "{rest}");
    }
    for extension in [
        "exe", "zip", "js", "svg", "bat", "pdfx", "7z", "pl", "jar", "lnk", "hta", "dll",
    ] {
        for before in ["", "download.aspx?filename="] {
            let refusal = named_type(&url(&format!("{before}a.{extension}"))).unwrap_err();
            let expected = FileRefusedError::UnknownExtension(extension.to_owned());
            assert_eq!(refusal, expected, "{before}a.{extension}");
            assert!(refusal.to_string().contains("accepted are pdf, xml"), "{refusal}");
        }
    }
}

#[test]
fn labels_are_upper_case_or_unknown() {
    let urls = ["a.jpeg", "a.exe", "a", "download.ashx", "a.p%2Fdf"];
    let labels = urls.map(|rest| file_type_label(&url(rest)));
    assert_eq!(labels, ["JPEG", "EXE", "UNKNOWN", "UNKNOWN", "UNKNOWN"]);
}

#[test]
fn a_response_may_name_an_accepted_kind() {
    for (header, expected) in [
        ("attachment; filename=\"Roof damage.PDF\"", Some(FileType::Pdf)),
        (
            "attachment; filename*=UTF-8''%C3%BC.heif; filename=x",
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
