//! Office files in all forms that programs write.

use super::samples::{assert_content, compound, content, sample, verdict, zip};
use crate::cases::rows;
use xact_contracts::file_rules::{FileType, judge};

/// Verifies that a file whose content shows only that it is of Office has the kind of its name.
fn assert_named_by_office(file: &[u8]) {
    for (extension, label) in [("docx", "DOCX"), ("xlsx", "XLSX"), ("doc", "DOC"), ("xls", "XLS")] {
        assert_content(&[extension], file, label);
    }
    assert_content(&["pdf"], file, "content");
    assert_content(&[""], file, "unnamed");
}

#[test]
fn an_archive_is_classified_by_its_members_in_any_order() {
    // Some programs sign and describe packages with a folder of Java's, and spell names in another way.
    let table = r"
        [Content_Types].xml _rels/.rels word/document.xml → DOCX
        word/document.xml [Content_Types].xml → DOCX
        docProps/app.xml docProps/core.xml xl/theme/theme1.xml → XLSX
        word/media/image1.jpeg word/document.xml → DOCX
        customXml/item1.xml word/document.xml → DOCX
        _rels/.rels xl/workbook.xml → XLSX
        word/document.xml word/embeddings/Workbook.xlsx xl/workbook.xml → DOCX
        xl/workbook.xml xl/embeddings/a.docx word/document.xml → XLSX
        META-INF/MANIFEST.MF [Content_Types].xml word/document.xml → DOCX
        META-INF/ META-INF/container.xml [Content_Types].xml xl/workbook.xml → XLSX
        META-INF/signatures.xml _rels/.rels xl/workbook.xml → XLSX
        [content_types].xml WORD/document.xml → DOCX
        [Content_Types].xml word\document.xml → DOCX
        /[Content_Types].xml /xl/workbook.xml → XLSX
        XACTDOC.ZIPXML 1.JPG → ESX
        1.JPG XACTDOC.XML → ESX
        xl/workbook.bin [Content_Types].xml → XLSX
        xl/styles.xml → XLSX
    ";
    for [members, expected] in rows(table) {
        let archive = zip(&members.split(' ').collect::<Vec<_>>());
        assert_content(
            &["docx", "xlsx", "doc", "xls", "pdf", "jpg", "esx", "csv", ""],
            &archive,
            expected,
        );
    }
}

#[test]
fn a_package_without_a_kind_in_the_head_has_that_of_its_name() {
    let packages: [&[&str]; 5] = [
        &["[Content_Types].xml"],
        &["[Content_Types].xml", "_rels/.rels", "docProps/thumbnail.jpeg"],
        &["_rels/.rels"],
        // A presentation, a drawing: Office opens them under these names.
        &["[Content_Types].xml", "ppt/presentation.xml"],
        &["[Content_Types].xml", "visio/document.xml"],
    ];
    // OpenDocument as well.
    let mime_type = &b"application/vnd.oasis.opendocument.text"[..];
    let open_document = [
        &zip(&["mimetype"]),
        mime_type,
        &zip(&["content.xml", "META-INF/manifest.xml"]),
    ]
    .concat();
    for package in packages.map(zip).into_iter().chain([open_document]) {
        assert_named_by_office(&package);
    }
    for other in [
        &["mimetype", "META-INF/container.xml"][..],
        &["mimetype", "META-INF/manifest.xml"],
    ] {
        assert_eq!(content("docx", &zip(other)), "content", "{other:?}");
    }
}

#[test]
fn an_ole2_file_is_classified_by_its_directory() {
    for directory in [1, 2, 60, 120] {
        for (streams, expected) in [
            (&["WordDocument"][..], "DOC"),
            (
                &["1Table", "\u{5}SummaryInformation", "Data", "CompObj", "WordDocument"],
                "DOC",
            ),
            (&["Workbook"], "XLS"),
            (&["Book"], "XLS"),
            (&["WORKBOOK"], "XLS"),
            (
                &["\u{5}DocumentSummaryInformation", "_VBA_PROJECT_CUR", "Workbook"],
                "XLS",
            ),
        ] {
            let file = compound(directory, [0; 16], streams);
            assert_content(
                &["xls", "xlsx", "doc", "docx", "pdf", "png", "txt", ""],
                &file,
                expected,
            );
        }
        // With a password, or another program's: what its name says, if Office opens it.
        for streams in [
            &["EncryptedPackage", "EncryptionInfo"][..],
            &["__properties_version1.0"],
            &[],
        ] {
            assert_named_by_office(&compound(directory, [0; 16], streams));
        }
    }
    let locked = compound(1, [0; 16], &["EncryptedPackage"]);
    let judged = judge(Some(FileType::Xlsx), None, &locked).unwrap();
    assert!(judged.content_type.unwrap().ends_with("spreadsheetml.sheet"));
}

#[test]
fn worksheets_of_every_version_need_no_container() {
    // The first record: its number, its length, the version, the type of the stream.
    for head in [
        &b"\x09\0\x04\0\x02\0\x10\0"[..],                                // BIFF2
        b"\x09\0\x06\0\x02\0\x10\0\0\0",                                 // BIFF2, longer
        b"\x09\0\x08\0\x07\0\x10\0\0\0\0\0",                             // BIFF2 of another program
        b"\x09\x02\x06\0\0\0\x10\0\0\0",                                 // BIFF3
        b"\x09\x02\x06\0\0\0\x20\0\0\0",                                 // BIFF3 chart
        b"\x09\x04\x06\0\0\0\x10\0\0\0",                                 // BIFF4
        b"\x09\x04\x06\0\0\0\0\x01\0\0",                                 // BIFF4 workspace
        b"\x09\x08\x08\0\0\x05\x05\0\xD3\x10\xCC\x07",                   // BIFF5 workbook
        b"\x09\x08\x08\0\0\x05\x10\0\xD3\x10\xCC\x07",                   // BIFF5 sheet
        b"\x09\x08\x10\0\0\x06\x05\0\xBB\x0D\xCC\x07\0\0\0\0\x06\0\0\0", // BIFF8 workbook
        b"\x09\x08\x10\0\0\x06\x10\0\xBB\x0D\xCC\x07\0\0\0\0\x06\0\0\0", // BIFF8 sheet
        b"\x09\x08\x08\0\0\x06\x05\0\xBB\x0D\xCC\x07",                   // BIFF8, shorter
    ] {
        assert_content(&["xls", "xlsx", "csv", "doc", ""], head, "XLS");
    }
    for head in [
        &b"\x09\0\x04\0\x02\0\x11\0"[..],
        b"\x09\x01\x04\0\x02\0\x10\0",
        b"\x09\x08\x10\x01\0\x06\x05\0",
        b"\x09\x08\x10\0\0\x06",
    ] {
        assert_content(&["xls"], head, "content");
    }
}

#[test]
fn early_word_and_rich_text_are_documents() {
    for head in [
        &b"{\\rtf1\\ansi roof}"[..],
        b"\xDB\xA5\x2D\0\0\0\x09\x04",
        b"\x9B\xA5\x21\0\0\0",
        b"\xFE\x37\0\x1C\0\0",
        b"\xFE\x37\0\x23\0\0",
    ] {
        assert_content(&["doc", "docx", "pdf", "txt", ""], head, "DOC");
    }
    let rich = judge(Some(FileType::Doc), Some("application/msword"), b"{\\rtf1").unwrap();
    assert_eq!(rich.content_type.as_deref(), Some("application/rtf"));
    assert!(!rich.differs());
}

/// A text in little-endian UTF-16 behind a byte order mark.
fn utf_16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

const SPREADSHEET_ML: &str = "<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n\
    <Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\"><Worksheet/></Workbook>";
const WORD_ML: &str = "<?xml version=\"1.0\" standalone=\"yes\"?>\n<?mso-application progid=\"Word.Document\"?>\n\
    <w:wordDocument xmlns:w=\"http://schemas.microsoft.com/office/word/2003/wordml\"/>";
const FLAT_PACKAGE: &str =
    "<?xml version='1.0'?><pkg:package xmlns:pkg='http://schemas.microsoft.com/office/2006/xmlPackage'/>";

#[test]
fn xml_of_office_is_known_under_every_name() {
    let bare_root = "<ss:Workbook xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet'/>";
    let utf_16 = utf_16(SPREADSHEET_ML);
    for (head, expected) in [
        (SPREADSHEET_ML.as_bytes(), "XLS"),
        (bare_root.as_bytes(), "XLS"),
        (&utf_16, "XLS"),
        (WORD_ML.as_bytes(), "DOC"),
        (FLAT_PACKAGE.as_bytes(), "DOC"),
    ] {
        assert_content(&["xls", "doc", "xlsx", "docx", "pdf", ""], head, expected);
        // XML is what its name says: it is not a difference worth a warning.
        assert_content(&["xml"], head, "XML");
        // A declared type refuses nothing that is proven.
        assert_eq!(verdict("xls", Some("text/html"), head), expected);
    }
    let excel = "application/vnd.ms-excel";
    let judged = judge(Some(FileType::Xls), Some(excel), SPREADSHEET_ML.as_bytes()).unwrap();
    assert_eq!((judged.content_type.as_deref(), judged.differs()), (Some(excel), false));
}

#[test]
fn web_archives_and_pages_that_office_wrote_are_kept_under_names_that_office_opens() {
    let mime = "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<html>";
    let confluence = "Date: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-ID: <1@x>\nSubject: Exported From Confluence\n\
        MIME-Version: 1.0\nContent-Type: multipart/related;\n\tboundary=\"x\"\n\n--x";
    let excel = [
        "<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><head><title>a</title>",
        "<html><head><meta name=ProgId content=Excel.Sheet><script>",
        "<HTML><HEAD><META NAME=\"Generator\" CONTENT=\"Microsoft Excel 11\">",
    ];
    let word = [
        "<html xmlns:w=\"urn:schemas-microsoft-com:office:word\"><head><title>a</title>",
        "<html><head><meta name=ProgId content=Word.Document>",
    ];
    let either = [
        "<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\" xmlns:w=\"urn:schemas-microsoft-com:office:word\">",
        mime,
        confluence,
    ];
    let excel = excel.map(|head| (head, "XLS", "XLS"));
    let word = word.map(|head| (head, "DOC", "DOC"));
    let either = either.map(|head| (head, "XLS", "DOC"));
    for (head, excel, word) in excel.into_iter().chain(word).chain(either) {
        for (extension, expected) in [("xls", excel), ("xlsx", excel), ("doc", word), ("docx", word)] {
            assert_eq!(content(extension, head.as_bytes()), expected, "{head} as {extension}");
            let judged = judge(FileType::from_extension(extension), Some("text/html"), head.as_bytes()).unwrap();
            let content_type = judged.content_type.unwrap();
            // No browser displays it.
            assert!(content_type.starts_with("application/"), "{content_type}");
        }
        let elsewhere = if head.starts_with('<') { "html page" } else { "content" };
        assert_eq!(content("pdf", head.as_bytes()), elsewhere, "{head}");
        assert_ne!(content("", head.as_bytes()), "HTML", "{head}");
    }
}

#[test]
fn tables_that_programs_wrote_for_excel_are_kept() {
    for head in [
        "<table border=1><tr><th>claim</th></tr><tr><td>1</td></tr></table>",
        "\u{FEFF}<table>",
        "<html><body><table><tr><td>1</td></tr></table></body></html>",
        "<!DOCTYPE html><html><head><meta charset=utf-8><style>td {color:red}</style></head><body><div><table >",
        "<!-- export --><div><center><table>",
    ] {
        assert_content(&["xls"], head.as_bytes(), "XLS");
        assert_content(&["doc", "pdf", "csv", ""], head.as_bytes(), "html page");
    }
    for (head, media_type) in [
        ("claim\troom\tamount\r\n1\troof\t5\r\n", "text/tab-separated-values"),
        ("claim\troom", "text/tab-separated-values"),
        ("\u{FEFF}claim\troom\n", "text/tab-separated-values"),
        ("claim,room\n1,roof\n", "text/csv"),
        ("claim;room\n\n1;roof\n", "text/csv"),
    ] {
        for extension in ["xls", "xlsx"] {
            let name = FileType::from_extension(extension);
            let judged = judge(name, Some("application/vnd.ms-excel"), head.as_bytes()).unwrap();
            let found = (judged.file_type, judged.content_type.as_deref(), judged.differs());
            assert_eq!(found, (FileType::Csv, Some(media_type), true), "{head}");
        }
        assert_eq!(verdict("xls", Some("text/html"), head.as_bytes()), "declared", "{head}");
        assert_eq!(content("doc", head.as_bytes()), "content", "{head}");
    }
    assert_content(&["xls"], &utf_16("claim\troom\r\n"), "CSV");
}

#[test]
fn an_office_file_under_another_programs_name_is_what_it_is() {
    for (name, served, label) in [
        ("doc", "docx", "DOCX"),
        ("xls", "xlsx", "XLSX"),
        ("docx", "doc", "DOC"),
        ("xlsx", "docx", "DOCX"),
    ] {
        let judged = judge(FileType::from_extension(name), None, &sample(served)).unwrap();
        assert_eq!((judged.file_type.label(), judged.differs()), (label, true));
    }
}
