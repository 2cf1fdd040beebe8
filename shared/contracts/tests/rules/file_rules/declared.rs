//! Types that servers declare: spellings, types of other kinds, and active types.

use proptest::prelude::*;

use super::samples::{PROVEN, SPECIFIED, content, file_type, sample, verdict};
use crate::cases::rows;
use xact_contracts::file_rules::{Declared, compare, judge};

/// Types that uploaders leave, by the kind that they mean; `|` separates them.
const FITTING: &str = r#"
    pdf → application/pdf | Application/PDF; charset=binary | application/pdf, application/pdf | "application/pdf"
    pdf → 'application/pdf' | "application/pdf, application/pdf" | "application/pdf", application/pdf
    pdf → "application/pdf", "application/pdf" | "application/pdf | application/pdf; | ,application/pdf,
    pdf → application/octet-stream, application/pdf | application/x-pdf | application/acrobat | text/pdf
    xml → application/xml | text/xml;charset=UTF-8 | application/atom+xml | text/plain
    txt → text/plain; charset=utf-8 | text/csv | text/x-log | TEXT/PLAIN
    csv → text/csv | text/csv; header="a,b" | application/csv | text/comma-separated-values
    csv → text/x-comma-separated-values | text/tab-separated-values | application/vnd.ms-excel | application/excel
    csv → application/x-excel
    json → application/json | text/json | application/problem+json | application/x-ndjson
    html → text/html; charset=utf-8 | application/xhtml+xml | text/plain
    xls → application/vnd.ms-excel | application/excel | application/x-excel | application/x-msexcel
    xls → application/vnd.ms-office | application/vnd.ms-excel.sheet.macroEnabled.12 | application/x-ole-storage
    xlsx → application/vnd.openxmlformats-officedocument.spreadsheetml.sheet
    xlsx → application/vnd.openxmlformats-officedocument.spreadsheetml.template
    xlsx → application/vnd.ms-excel.sheet.macroEnabled.12 | application/zip | application/x-zip
    xlsx → application/x-zip-compressed | application/vnd.ms-excel
    doc → application/msword | application/vnd.ms-word | application/rtf | text/rtf | application/vnd.ms-office
    docx → application/vnd.openxmlformats-officedocument.wordprocessingml.document
    docx → application/vnd.ms-word.document.macroEnabled.12 | application/zip | application/msword
    esx → application/zip | application/x-zip-compressed | application/xml | application/vnd.xactware.esx
    jpg → image/jpeg | image/jpg | image/pjpeg | image/x-citrix-jpeg | image/* | application/jpg
    png → image/png | image/x-png | image/x-citrix-png | image/apng
    gif → image/gif | image/x-citrix-gif
    bmp → image/bmp | image/x-ms-bmp | image/x-windows-bmp
    tiff → image/tiff | image/tif | image/x-tiff
    heic → image/heic | image/heif | image/heic-sequence
    mov → video/quicktime | video/mov | video/mp4 | video/*
    mp4 → video/mp4 | application/mp4 | video/x-m4v | video/quicktime | video/3gpp
"#;

/// Types that say nothing of any file.
const MEANINGLESS: &str = r#"
    , | "" | application/octet-stream | binary/octet-stream | APPLICATION/OCTET-STREAM; x=y |
    application/force-download | application/x-force-download | application/download | application/x-download |
    application/x-www-form-urlencoded | multipart/form-data; boundary=x | application/unknown | unknown/unknown |
    application/octet-stream, binary/octet-stream
"#;

/// Types that browsers or systems run.
const ACTIVE: &str = r#"
    text/html | TEXT/HTML; charset=utf-8 | "text/html" | text/plain, text/html | application/xhtml+xml |
    text/javascript | application/javascript | application/x-javascript | image/svg+xml | application/x-msdownload |
    application/x-httpd-php | application/hta | text/vbscript | application/java-archive
"#;

fn types(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('|').map(str::trim)
}

/// The extensions and types of [`FITTING`].
fn fitting() -> impl Iterator<Item = (&'static str, &'static str)> {
    rows(FITTING).flat_map(|[extension, text]| types(text).map(move |declared| (extension, declared)))
}

fn meaningless() -> impl Iterator<Item = &'static str> {
    types(MEANINGLESS).chain(["", " ; charset=utf-8"])
}

/// Verifies the verdict of a sample under this name with this declared type.
fn check(extension: &str, declared: &str, sample_of: &str, expected: &str) {
    let found = verdict(extension, Some(declared), &sample(sample_of));
    assert_eq!(found, expected, "{sample_of} under {extension:?} as {declared}");
}

#[test]
fn spellings_of_a_kind_fit_it() {
    for (extension, declared) in fitting() {
        let found = compare(file_type(extension), Some(declared));
        assert_eq!(found, Declared::Fits, "{extension} as {declared}");
    }
}

#[test]
fn types_of_other_kinds_differ_and_their_kind_is_known() {
    for (extension, declared, other) in [
        ("pdf", "image/png", Some("png")),
        ("pdf", "application/pdfx", None),
        ("pdf", "text/plain", Some("txt")),
        ("csv", "application/json", Some("json")),
        ("html", "application/pdf", Some("pdf")),
        ("esx", "application/vnd.ms-excel", Some("xls")),
        ("jpg", "image/png", Some("png")),
        ("jpg", "image/heic", Some("heic")),
        ("heic", "image/jpeg", Some("jpg")),
        ("mov", "audio/mpeg", None),
        ("pdf", "nonsense", None),
        ("pdf", "application/octet-streams", None),
        ("pdf", "application/pdf, image/png", Some("png")),
    ] {
        let found = compare(file_type(extension), Some(declared));
        assert_eq!(
            found,
            Declared::Differs(other.map(file_type)),
            "{extension} as {declared}"
        );
    }
}

#[test]
fn no_declared_type_refuses_what_the_content_proves() {
    let all = fitting()
        .map(|(_, declared)| declared)
        .chain(meaningless())
        .chain(types(ACTIVE));
    for declared in all.chain(["nonsense", "audio/mpeg", "a/b; c=\"", "\u{fc}"]) {
        for extension in PROVEN {
            let expected = file_type(extension).label();
            check(extension, declared, extension, expected);
            check("", declared, extension, expected);
        }
    }
}

#[test]
fn only_a_declared_type_that_runs_refuses_a_text() {
    for extension in ["txt", "csv", "json", "xml"] {
        let others = fitting()
            .filter(|(name, _)| *name != "html")
            .map(|(_, declared)| declared);
        for declared in others.chain(meaningless()).chain(["nonsense", "audio/mpeg"]) {
            check(extension, declared, extension, file_type(extension).label());
        }
        for declared in types(ACTIVE) {
            check(extension, declared, extension, "declared");
        }
    }
    for declared in ["text/html", "application/xhtml+xml"] {
        check("html", declared, "html", "HTML");
    }
    for declared in ["text/javascript", "application/x-msdownload", "image/svg+xml"] {
        check("html", declared, "html", "declared");
    }
    check("esx", "text/html", "xml", "declared");
}

#[test]
fn the_content_type_in_tables_is_that_of_the_content() {
    // The extension, the declared type, the content type, and the declared type that is kept because it differs.
    let table = "
        pdf → - → application/pdf → -
        pdf → application/octet-stream → application/pdf → -
        pdf → application/x-pdf → application/pdf → -
        pdf → text/html → application/pdf → text/html
        heic → image/jpeg → image/heic → image/jpeg
        csv → text/csv; charset=windows-1252 → text/csv; charset=windows-1252 → -
        csv → application/x-www-form-urlencoded → text/csv → -
        csv → application/pdf → text/csv → application/pdf
        csv → - → text/csv → -
        txt → text/plain → text/plain → -
        esx → application/octet-stream → application/octet-stream → -
        esx → application/zip → application/zip → -
        esx → image/png → - → image/png
        esx → - → - → -
    ";
    let optional = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
    for [extension, declared, content_type, kept] in rows(table) {
        let judged = judge(
            Some(file_type(extension)),
            optional(declared).as_deref(),
            &sample(extension),
        )
        .unwrap();
        let found = (judged.content_type.clone(), judged.declared_content_type.clone());
        assert_eq!(
            found,
            (optional(content_type), optional(kept)),
            "{extension} as {declared}"
        );
        assert_eq!(judged.differs(), kept != "-");
    }
}

#[test]
fn a_declared_type_is_kept_at_a_bounded_length() {
    let kept = |declared: &str| {
        let judged = judge(Some(file_type("pdf")), Some(declared), &sample("pdf")).unwrap();
        judged.declared_content_type.unwrap()
    };
    assert_eq!(kept(&format!("x/{}", "y".repeat(5000))).chars().count(), 100);
    assert!(!kept("text/html; from=\"https://a.example/b.pdf?sig=SECRET\"").contains("SECRET"));
    let long = format!("{}, text/html", "a/b, ".repeat(999));
    let refusal = judge(Some(file_type("txt")), Some(&long), b"x").unwrap_err();
    assert!(refusal.to_string().chars().count() < 400, "{refusal}");
}

proptest! {
    #[test]
    fn any_declared_type_is_read_without_panic(declared in ".{0,60}") {
        for extension in SPECIFIED {
            let _ = compare(file_type(extension), Some(&declared));
        }
        prop_assert_eq!(content("pdf", &sample("pdf")), "PDF");
    }
}
