//! Types that servers declare: spellings, types of other kinds, and active types.

use proptest::prelude::*;

use super::samples::{PROVEN, SPECIFIED, content, file_type, sample, verdict};
use xact_contracts::file_rules::{Declared, compare, judge};

/// Types that uploaders leave, by the kind that they mean.
const FITTING: [(&str, &[&str]); 19] = [
    (
        "pdf",
        &[
            "application/pdf",
            "Application/PDF; charset=binary",
            "application/pdf, application/pdf",
            "\"application/pdf\"",
            "'application/pdf'",
            "\"application/pdf, application/pdf\"",
            "\"application/pdf\", application/pdf",
            "\"application/pdf\", \"application/pdf\"",
            "\"application/pdf",
            "application/pdf;",
            ",application/pdf,",
            "application/octet-stream, application/pdf",
            "application/x-pdf",
            "application/acrobat",
            "text/pdf",
        ],
    ),
    (
        "xml",
        &[
            "application/xml",
            "text/xml;charset=UTF-8",
            "application/atom+xml",
            "text/plain",
        ],
    ),
    (
        "txt",
        &["text/plain; charset=utf-8", "text/csv", "text/x-log", "TEXT/PLAIN"],
    ),
    (
        "csv",
        &[
            "text/csv",
            "text/csv; header=\"a,b\"",
            "application/csv",
            "text/comma-separated-values",
            "text/x-comma-separated-values",
            "text/tab-separated-values",
            "application/vnd.ms-excel",
            "application/excel",
            "application/x-excel",
        ],
    ),
    (
        "json",
        &[
            "application/json",
            "text/json",
            "application/problem+json",
            "application/x-ndjson",
        ],
    ),
    (
        "html",
        &["text/html; charset=utf-8", "application/xhtml+xml", "text/plain"],
    ),
    (
        "xls",
        &[
            "application/vnd.ms-excel",
            "application/excel",
            "application/x-excel",
            "application/x-msexcel",
            "application/vnd.ms-office",
            "application/vnd.ms-excel.sheet.macroEnabled.12",
            "application/x-ole-storage",
        ],
    ),
    (
        "xlsx",
        &[
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
            "application/vnd.ms-excel.sheet.macroEnabled.12",
            "application/zip",
            "application/x-zip",
            "application/x-zip-compressed",
            "application/vnd.ms-excel",
        ],
    ),
    (
        "doc",
        &[
            "application/msword",
            "application/vnd.ms-word",
            "application/rtf",
            "text/rtf",
            "application/vnd.ms-office",
        ],
    ),
    (
        "docx",
        &[
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.ms-word.document.macroEnabled.12",
            "application/zip",
            "application/msword",
        ],
    ),
    (
        "esx",
        &[
            "application/zip",
            "application/x-zip-compressed",
            "application/xml",
            "application/vnd.xactware.esx",
        ],
    ),
    (
        "jpg",
        &[
            "image/jpeg",
            "image/jpg",
            "image/pjpeg",
            "image/x-citrix-jpeg",
            "image/*",
            "application/jpg",
        ],
    ),
    ("png", &["image/png", "image/x-png", "image/x-citrix-png", "image/apng"]),
    ("gif", &["image/gif", "image/x-citrix-gif"]),
    ("bmp", &["image/bmp", "image/x-ms-bmp", "image/x-windows-bmp"]),
    ("tiff", &["image/tiff", "image/tif", "image/x-tiff"]),
    ("heic", &["image/heic", "image/heif", "image/heic-sequence"]),
    ("mov", &["video/quicktime", "video/mov", "video/mp4", "video/*"]),
    (
        "mp4",
        &[
            "video/mp4",
            "application/mp4",
            "video/x-m4v",
            "video/quicktime",
            "video/3gpp",
        ],
    ),
];

/// Types that say nothing of any file.
const MEANINGLESS: [&str; 16] = [
    "",
    " ; charset=utf-8",
    ",",
    "\"\"",
    "application/octet-stream",
    "binary/octet-stream",
    "APPLICATION/OCTET-STREAM; x=y",
    "application/force-download",
    "application/x-force-download",
    "application/download",
    "application/x-download",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/unknown",
    "unknown/unknown",
    "application/octet-stream, binary/octet-stream",
];

/// Types that browsers or systems run.
const ACTIVE: [&str; 14] = [
    "text/html",
    "TEXT/HTML; charset=utf-8",
    "\"text/html\"",
    "text/plain, text/html",
    "application/xhtml+xml",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "image/svg+xml",
    "application/x-msdownload",
    "application/x-httpd-php",
    "application/hta",
    "text/vbscript",
    "application/java-archive",
];

#[test]
fn spellings_of_a_kind_fit_it() {
    for (extension, types) in FITTING {
        for declared in types {
            assert_eq!(
                compare(file_type(extension), Some(declared)),
                Declared::Fits,
                "{extension} as {declared}"
            );
        }
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
        let expected = Declared::Differs(other.map(file_type));
        assert_eq!(
            compare(file_type(extension), Some(declared)),
            expected,
            "{extension} as {declared}"
        );
    }
}

#[test]
fn no_declared_type_refuses_what_the_content_proves() {
    let all = FITTING.into_iter().flat_map(|(_, types)| types).copied();
    let all = all
        .chain(MEANINGLESS)
        .chain(ACTIVE)
        .chain(["nonsense", "audio/mpeg", "a/b; c=\"", "\u{fc}"]);
    for declared in all {
        for extension in PROVEN {
            let expected = file_type(extension).label();
            let head = sample(extension);
            assert_eq!(
                verdict(extension, Some(declared), &head),
                expected,
                "{extension} as {declared}"
            );
            assert_eq!(
                verdict("", Some(declared), &head),
                expected,
                "no name, {extension} as {declared}"
            );
        }
    }
}

#[test]
fn only_a_declared_type_that_runs_refuses_a_text() {
    for extension in ["txt", "csv", "json", "xml"] {
        let (head, own) = (sample(extension), file_type(extension).label());
        let others = FITTING
            .into_iter()
            .filter(|(name, _)| *name != "html")
            .flat_map(|(_, types)| types)
            .copied();
        for declared in others.chain(MEANINGLESS).chain(["nonsense", "audio/mpeg"]) {
            assert_eq!(
                verdict(extension, Some(declared), &head),
                own,
                "{extension} as {declared}"
            );
        }
        for declared in ACTIVE {
            assert_eq!(
                verdict(extension, Some(declared), &head),
                "declared",
                "{extension} as {declared}"
            );
        }
    }
    for declared in ["text/html", "application/xhtml+xml"] {
        assert_eq!(verdict("html", Some(declared), &sample("html")), "HTML");
    }
    for declared in ["text/javascript", "application/x-msdownload", "image/svg+xml"] {
        assert_eq!(
            verdict("html", Some(declared), &sample("html")),
            "declared",
            "{declared}"
        );
    }
    assert_eq!(verdict("esx", Some("text/html"), &sample("xml")), "declared");
}

#[test]
fn the_content_type_in_tables_is_that_of_the_content() {
    for (extension, declared, content_type, kept) in [
        ("pdf", None, Some("application/pdf"), None),
        ("pdf", Some("application/octet-stream"), Some("application/pdf"), None),
        ("pdf", Some("application/x-pdf"), Some("application/pdf"), None),
        ("pdf", Some("text/html"), Some("application/pdf"), Some("text/html")),
        ("heic", Some("image/jpeg"), Some("image/heic"), Some("image/jpeg")),
        (
            "csv",
            Some("text/csv; charset=windows-1252"),
            Some("text/csv; charset=windows-1252"),
            None,
        ),
        ("csv", Some("application/x-www-form-urlencoded"), Some("text/csv"), None),
        (
            "csv",
            Some("application/pdf"),
            Some("text/csv"),
            Some("application/pdf"),
        ),
        ("csv", None, Some("text/csv"), None),
        ("txt", Some("text/plain"), Some("text/plain"), None),
        (
            "esx",
            Some("application/octet-stream"),
            Some("application/octet-stream"),
            None,
        ),
        ("esx", Some("application/zip"), Some("application/zip"), None),
        ("esx", Some("image/png"), None, Some("image/png")),
        ("esx", None, None, None),
    ] {
        let judged = judge(Some(file_type(extension)), declared, &sample(extension)).unwrap();
        assert_eq!(
            judged.content_type.as_deref(),
            content_type,
            "{extension} as {declared:?}"
        );
        assert_eq!(
            judged.declared_content_type.as_deref(),
            kept,
            "{extension} as {declared:?}"
        );
        assert_eq!(judged.differs(), kept.is_some());
    }
}

#[test]
fn a_declared_type_is_kept_at_a_bounded_length() {
    let long = format!("x/{}", "y".repeat(5000));
    let judged = judge(Some(file_type("pdf")), Some(&long), &sample("pdf")).unwrap();
    assert_eq!(judged.declared_content_type.unwrap().chars().count(), 100);
    let secret = "text/html; from=\"https://a.example/b.pdf?sig=SECRET\"";
    let judged = judge(Some(file_type("pdf")), Some(secret), &sample("pdf")).unwrap();
    assert!(!judged.declared_content_type.unwrap().contains("SECRET"));
    let refusal = judge(
        Some(file_type("txt")),
        Some(&format!("{}, text/html", "a/b, ".repeat(999))),
        b"x",
    )
    .unwrap_err();
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
