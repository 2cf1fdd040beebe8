//! The file rules for files that real programs wrote (`tests/real-files/make.py`): each is stored as its content, whatever its
//! name, and dangerous ones are refused.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, io::Read, path::Path, sync::LazyLock};

use xact_contracts::file_rules::{CONTENT_HEAD_BYTES, Declared, FileRefusedError, FileType, Judged, compare, judge};

/// A file's name, and the part that the rules read.
struct Sample {
    name: String,
    head: Vec<u8>,
}

impl Sample {
    fn extension(&self) -> &str {
        self.name.rsplit('.').next().unwrap()
    }
}

struct Samples {
    accepted: Vec<Sample>,
    executables: Vec<Sample>,
    pages: Vec<Sample>,
    others: Vec<Sample>,
    behind_the_head: Vec<Sample>,
    /// By extension.
    media_types: BTreeMap<String, String>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let folder = xact_testkit::real_files::folder().unwrap();
    let accepted = fs::read_dir(folder.join("accepted")).unwrap();
    Samples {
        accepted: accepted
            .flat_map(|extension| read(&extension.unwrap().path()))
            .collect(),
        executables: read(&folder.join("executables")),
        pages: read(&folder.join("pages")),
        others: read(&folder.join("others")),
        behind_the_head: read(&folder.join("behind-the-head")),
        media_types: fs::read_to_string(folder.join("media-types.txt"))
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(extension, declared)| (extension.to_owned(), declared.to_owned()))
            .collect(),
    }
});

fn read(folder: &Path) -> Vec<Sample> {
    let samples: Vec<Sample> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let mut head = Vec::new();
            let file = fs::File::open(&path).unwrap();
            file.take(CONTENT_HEAD_BYTES as u64).read_to_end(&mut head).unwrap();
            Sample {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                head,
            }
        })
        .collect();
    assert!(!samples.is_empty(), "{} holds no sample", folder.display());
    samples
}

fn kind(extension: &str) -> FileType {
    FileType::from_extension(extension).unwrap()
}

fn judged(extension: &str, sample: &Sample) -> Result<Judged, FileRefusedError> {
    judge(FileType::from_extension(extension), None, &sample.head)
}

/// Every extension, and none.
fn every_name(_: &Sample) -> Vec<&str> {
    FileType::extensions().chain([""]).collect()
}

/// Fails with all judgements of samples under their `names` that are not right.
fn check<'a>(
    samples: &'a [Sample],
    names: impl Fn(&'a Sample) -> Vec<&'a str>,
    is_right: impl Fn(&Sample, &str, Result<Judged, FileRefusedError>) -> bool,
) {
    let mut wrong = Vec::new();
    for sample in samples {
        for extension in names(sample) {
            let verdict = judged(extension, sample);
            if !is_right(sample, extension, verdict.clone()) {
                wrong.push(format!("{} as {extension:?}: {verdict:?}", sample.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Samples that are something else than their extension says, and what they are.
fn really(sample: &Sample) -> FileType {
    match sample.name.as_str() {
        // Phones and editors write either brand under either extension.
        "ffmpeg-mp4-brand.mov" => FileType::Mp4,
        // Text that Excel opens.
        "tablib-tsv.xls" => FileType::Csv,
        _ => kind(sample.extension()),
    }
}

#[test]
fn real_files_are_stored_as_what_they_are() {
    check(
        &SAMPLES.accepted,
        |sample| vec![sample.extension()],
        |sample, _, verdict| verdict.is_ok_and(|found| found.file_type == really(sample)),
    );
    for extension in FileType::extensions() {
        assert!(
            SAMPLES.accepted.iter().any(|sample| sample.extension() == extension),
            "no sample of {extension}"
        );
    }
}

/// Whether only the name shows which of the accepted kinds a sample is, and why.
fn needs_its_name(sample: &Sample) -> bool {
    match sample.extension() {
        // A document with a password is an OLE2 file that does not show its kind, and some directories are behind the head.
        "doc" | "docx" | "xls" | "xlsx" => judged("", sample).is_err(),
        // Only Xactimate's own member names distinguish an estimate from another archive.
        "esx" => true,
        _ => false,
    }
}

#[test]
fn real_files_without_a_name_are_known_by_their_content() {
    check(
        &SAMPLES.accepted,
        |_| vec![""],
        |sample, _, verdict| match verdict {
            Ok(found) => found.file_type == really(sample) || is_office_xml(sample, found.file_type),
            Err(FileRefusedError::Unnamed(_) | FileRefusedError::HtmlPage(_)) => {
                really(sample).is_text() || needs_its_name(sample)
            }
            Err(_) => false,
        },
    );
    let is_unproven = |sample: &&Sample| !really(sample).is_text() && judged("", sample).is_err();
    let unproven = SAMPLES.accepted.iter().filter(is_unproven).count();
    assert!(
        unproven * 8 < SAMPLES.accepted.len(),
        "{unproven} samples need their name"
    );
}

/// XML that Office writes, by the samples' names.
fn is_office_xml(sample: &Sample, found: FileType) -> bool {
    sample.extension() == "xml" && matches!(found, FileType::Xls | FileType::Doc)
}

#[test]
fn real_files_under_another_name_are_stored_as_what_they_are_or_refused() {
    let others = |sample: &Sample| {
        let own = kind(sample.extension());
        FileType::extensions()
            .filter(|extension| kind(extension) != own)
            .collect()
    };
    check(&SAMPLES.accepted, others, |sample, extension, verdict| {
        let (really, name) = (really(sample), kind(extension));
        match verdict {
            Ok(found) => {
                found.file_type == really && name != FileType::Html || passes_by_name(sample, name, found.file_type)
            }
            // Text proves nothing, a page is refused under any other name, and so are an archive and a document whose head
            // does not show their kind. A PDF behind a text is accepted, but not under a text's name.
            Err(FileRefusedError::Content { .. }) => {
                really.is_text()
                    || needs_its_name(sample)
                    || name == FileType::Html
                    || is_office_text(sample)
                    || is_pdf_behind_text(sample, name)
            }
            Err(FileRefusedError::HtmlPage(_)) => {
                really == FileType::Html
                    || is_office_text(sample)
                    || is_pdf_behind_text(sample, name)
                    // XHTML, and XML that begins with an element of pages.
                    || matches!(sample.name.as_str(), "lxml-table.xml" | "lxml-xhtml.xml")
            }
            Err(_) => false,
        }
    });
}

fn is_pdf_behind_text(sample: &Sample, name: FileType) -> bool {
    matches!(sample.name.as_str(), "fpdf2-php-notice.pdf" | "fpdf2-multipart.pdf")
        && (name.is_text() || name == FileType::Esx)
}

/// Text of Office, which is itself only under names that Office opens.
fn is_office_text(sample: &Sample) -> bool {
    matches!(sample.extension(), "xls" | "doc") && !sample.head.iter().take(512).any(|byte| *byte == 0)
}

/// Files that are stored as what another name says, and why nothing is lost by it.
fn passes_by_name(sample: &Sample, name: FileType, found: FileType) -> bool {
    let text = ["xml", "txt", "csv", "json", "html", "htm"];
    let is_text = text.contains(&sample.extension()) || is_office_text(sample) || sample.name == "lxml.esx";
    let is_archive = matches!(sample.extension(), "docx" | "xlsx" | "doc" | "xls" | "esx");
    match found {
        // A text is what its name says; XML and JSON begin in a way of their own.
        FileType::Txt | FileType::Csv | FileType::Html | FileType::Xml | FileType::Json => {
            (found == name || found == FileType::Csv) && is_text
        }
        FileType::Esx => found == name && (is_text || is_archive),
        // A package or compound file whose head does not show its kind, and text that Office opens.
        FileType::Doc | FileType::Docx | FileType::Xls | FileType::Xlsx => {
            found == name && (is_archive || is_office_text(sample)) || is_office_xml(sample, found) || is_text
        }
        _ => false,
    }
}

#[test]
fn what_servers_declare_for_an_extension_fits() {
    for extension in FileType::extensions() {
        match SAMPLES.media_types.get(extension) {
            Some(known) => assert_eq!(
                compare(kind(extension), Some(known)),
                Declared::Fits,
                "{extension} as {known}"
            ),
            // Older Pythons know neither Office Open XML nor HEIF.
            None => assert!(
                ["esx", "docx", "xlsx", "heic", "heif"].contains(&extension),
                "{extension}"
            ),
        }
    }
}

#[test]
fn real_programs_are_refused_under_every_extension() {
    check(&SAMPLES.executables, every_name, |_, _, verdict| {
        matches!(verdict, Err(FileRefusedError::Executable(_)))
    });
}

#[test]
fn real_error_pages_are_refused_unless_a_page_is_expected() {
    check(
        &SAMPLES.pages,
        every_name,
        |_, extension, verdict| match FileType::from_extension(extension) {
            Some(FileType::Html) => verdict.is_ok(),
            expected => verdict == Err(FileRefusedError::HtmlPage(expected)),
        },
    );
}

/// What passes although it is of no accepted kind, and why nothing is lost by it.
fn passes(sample: &Sample, extension: &str, found: FileType) -> bool {
    let ole2 = sample.head.starts_with(b"\xD0\xCF\x11\xE0");
    let zip = sample.head.starts_with(b"PK\x03\x04");
    // Presentations, mails and drawings in the formats of Office.
    let of_office = ole2 || zip && sample.extension() == "pptx";
    match extension {
        "xls" | "xlsx" | "doc" | "docx" => of_office && found == kind(extension),
        "esx" => zip || matches!(sample.extension(), "svg" | "xml"),
        "xml" => matches!(sample.extension(), "svg" | "xml"),
        // A text of any kind is a text.
        "txt" | "csv" | "html" | "htm" => matches!(sample.extension(), "svg" | "xml"),
        _ => false,
    }
}

#[test]
fn files_of_other_kinds_are_refused_under_every_extension() {
    check(
        &SAMPLES.others,
        every_name,
        |sample, extension, verdict| match verdict {
            Ok(found) => passes(sample, extension, found.file_type),
            Err(refusal) => matches!(refusal, FileRefusedError::Content { .. } | FileRefusedError::Unnamed(_)),
        },
    );
}

/// A limit of the rules, which read the head only. A reader that goes by the head as well, as all do that open a file by its
/// extension, never reaches the program.
#[test]
fn a_program_behind_a_complete_file_is_not_detected() {
    check(
        &SAMPLES.behind_the_head,
        |sample| vec![sample.extension()],
        |_, extension, verdict| verdict.is_ok_and(|found| found.file_type == kind(extension)),
    );
}
