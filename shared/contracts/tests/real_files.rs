//! The file rules against files that real programs wrote (`tests/real-files/make.py`): each is accepted as what it is, and
//! as nothing else, and what must not come in does not, whatever it is called.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, io::Read, path::Path, sync::LazyLock};

use url::Url;
use xact_contracts::file_rules::{CONTENT_HEAD_BYTES, FileRefusal, FileType, allowed_type};

/// A file by its name, as far as the rules look at it.
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
    let folder = harness::real_files::folder().unwrap();
    let mut accepted: Vec<Sample> = Vec::new();
    for extension in fs::read_dir(folder.join("accepted")).unwrap() {
        accepted.extend(read(&extension.unwrap().path()));
    }
    Samples {
        accepted,
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

/// The kind that a URL with that extension names.
fn kind(extension: &str) -> FileType {
    let url = format!("https://claimxperience.com/file.{extension}?X-Amz-Expires=60");
    allowed_type(&Url::parse(&url).unwrap()).unwrap()
}

/// Extensions whose files pass as each other, and why that is so.
struct Twins {
    files: &'static [&'static str],
    pass_as: &'static [&'static str],
    why: &'static str,
}

const TWINS: [Twins; 6] = [
    Twins {
        files: &["xls", "xlsx", "doc", "docx"],
        pass_as: &["xls", "xlsx", "doc", "docx"],
        why: "ZIP or OLE2 all four (with a password even docx and xlsx): what is inside stands behind the head",
    },
    Twins {
        files: &["xlsx", "docx"],
        pass_as: &["esx"],
        why: "an estimate is a ZIP archive as well",
    },
    Twins {
        files: &["esx"],
        pass_as: &["xls", "xlsx", "doc", "docx", "xml", "txt", "csv", "html", "htm"],
        why: "an estimate is a ZIP archive or XML",
    },
    Twins {
        files: &["xml", "txt", "csv", "json", "html", "htm"],
        pass_as: &["txt", "csv", "html", "htm", "esx"],
        why: "text is text: only XML and JSON begin in a way of their own",
    },
    Twins {
        files: &["html", "htm"],
        pass_as: &["xml"],
        why: "XHTML is XML, and so is a fragment that is well formed",
    },
    Twins {
        files: &["mov", "mp4"],
        pass_as: &["mov", "mp4"],
        why: "one format: phones write either brand under either extension",
    },
];

#[test]
fn real_files_are_accepted_as_what_they_are() {
    let mut refused = Vec::new();
    for sample in &SAMPLES.accepted {
        if let Err(refusal) = kind(sample.extension()).check_content(&sample.head) {
            refused.push(format!("{}: {refusal}", sample.name));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    for extension in FileType::extensions() {
        assert!(
            SAMPLES.accepted.iter().any(|sample| sample.extension() == extension),
            "no sample of {extension}"
        );
    }
}

#[test]
fn what_servers_declare_for_an_extension_fits() {
    for extension in FileType::extensions() {
        let known = SAMPLES.media_types.get(extension).map(String::as_str);
        // Older Pythons do not know Office Open XML.
        assert!(
            known.is_some() || ["esx", "docx", "xlsx"].contains(&extension),
            "{extension}"
        );
        for declared in [
            known,
            Some("application/octet-stream"),
            Some("binary/octet-stream"),
            None,
        ] {
            assert_eq!(
                kind(extension).check_declared(declared),
                Ok(()),
                "{extension} as {declared:?}"
            );
        }
    }
}

#[test]
fn real_files_are_refused_as_anything_else() {
    let mut let_in = BTreeMap::<String, Vec<&str>>::new();
    let mut used = [false; TWINS.len()];
    for sample in &SAMPLES.accepted {
        let own = kind(sample.extension());
        for extension in FileType::extensions().filter(|extension| kind(extension) != own) {
            if kind(extension).check_content(&sample.head).is_err() {
                continue;
            }
            let twins = TWINS
                .iter()
                .position(|twins| twins.files.contains(&sample.extension()) && twins.pass_as.contains(&extension));
            match twins {
                Some(index) => used[index] = true,
                None => let_in.entry(sample.name.clone()).or_default().push(extension),
            }
        }
    }
    assert!(let_in.is_empty(), "{let_in:#?}");
    for (twins, used) in TWINS.iter().zip(used) {
        assert!(used, "a reason that no file needs: {}", twins.why);
    }
}

#[test]
fn real_programs_are_refused_under_every_extension() {
    let let_in = judged(&SAMPLES.executables, |_, _, refusal| {
        matches!(refusal, Err(FileRefusal::Executable { .. }))
    });
    assert!(let_in.is_empty(), "{}", let_in.join("\n"));
}

#[test]
fn real_error_pages_are_refused_unless_a_page_is_expected() {
    let let_in = judged(&SAMPLES.pages, |_, extension, refusal| match kind(extension) {
        FileType::Html => refusal.is_ok(),
        expected => refusal == Err(FileRefusal::HtmlPage { expected }),
    });
    assert!(let_in.is_empty(), "{}", let_in.join("\n"));
}

/// What passes although it is of no accepted kind, and why nothing is lost by it.
fn passes(sample: &Sample, extension: &str) -> bool {
    let ole2 = sample.head.starts_with(b"\xD0\xCF\x11\xE0");
    let zip = sample.head.starts_with(b"PK\x03\x04");
    match extension {
        // Other programs' OLE2 and ZIP files differ in what stands behind the head.
        "xls" | "xlsx" | "doc" | "docx" => ole2 || zip,
        "esx" => zip || matches!(sample.extension(), "svg" | "xml"),
        "xml" => matches!(sample.extension(), "svg" | "xml"),
        // A text of any kind is a text.
        "txt" | "csv" | "html" | "htm" => matches!(sample.extension(), "svg" | "xml"),
        _ => false,
    }
}

#[test]
fn files_of_other_kinds_are_refused_under_every_extension() {
    let let_in = judged(&SAMPLES.others, |sample, extension, judgement| match judgement {
        Ok(()) => passes(sample, extension),
        Err(refusal) => matches!(refusal, FileRefusal::Content { .. }),
    });
    assert!(let_in.is_empty(), "{}", let_in.join("\n"));
}

/// Not a wish but a limit, written down: the rules look at the head. A reader that goes by the head as well, as all do that
/// open a file by its extension, never sees the program.
#[test]
fn a_program_behind_a_whole_file_is_not_seen() {
    for sample in &SAMPLES.behind_the_head {
        let judgement = kind(sample.extension()).check_content(&sample.head);
        assert_eq!(judgement, Ok(()), "{}", sample.name);
    }
}

/// The judgements of `samples` under every extension that `right` does not find right.
fn judged(samples: &[Sample], right: impl Fn(&Sample, &str, Result<(), FileRefusal>) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for sample in samples {
        for extension in FileType::extensions() {
            let judgement = kind(extension).check_content(&sample.head);
            if !right(sample, extension, judgement.clone()) {
                wrong.push(format!("{} as {extension}: {judgement:?}", sample.name));
            }
        }
    }
    wrong
}
