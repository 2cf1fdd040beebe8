//! Each link in the documents leads to a file, and to a heading of it where it names one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{path, text};

/// The documents whose links are followed, besides the runbooks.
const DOCUMENTS: [&str; 10] = [
    "README.md",
    ".github/CONTRIBUTING.md",
    "handlers/README.md",
    "handlers/pipeline/README.md",
    "shared/README.md",
    "CHANGELOG.md",
    "infra/README.md",
    "infra/COST.md",
    "bicep/README.md",
    "bicep/SCALING.md",
];

/// Returns the lines of a document that are not in a block of code.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchors of a document's headings, as GitHub makes them: lower case, without punctuation, hyphens for spaces.
pub(crate) fn anchors(document: &str) -> BTreeSet<String> {
    let headings = prose(document).filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || ['-', '_', ' '].contains(letter);
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// Returns the targets of a document's links within the repository.
fn targets(document: &str) -> Vec<&str> {
    let in_line = |line: &'_ str| line.match_indices("](").map(|(at, _)| at + 2).collect::<Vec<_>>();
    prose(document)
        .flat_map(|line| in_line(line).into_iter().filter_map(|at| line[at..].split(')').next()))
        .filter(|target| !target.contains("://"))
        .collect()
}

/// Returns what is wrong with the links of a document; `folder` is where it is.
fn broken(document: &str, folder: &Path) -> Vec<String> {
    let leads_nowhere = |target: &&str| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let read = |file: PathBuf| std::fs::read_to_string(file).ok();
        match (file, anchor) {
            (file, "") => !folder.join(file).exists(),
            ("", anchor) => !anchors(document).contains(anchor),
            (file, anchor) => read(folder.join(file)).is_none_or(|other| !anchors(&other).contains(anchor)),
        }
    };
    targets(document)
        .into_iter()
        .filter(leads_nowhere)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let runbooks = crate::runbooks::names();
    let mut count = 0;
    for name in DOCUMENTS.iter().map(|&name| name.to_owned()).chain(runbooks) {
        let document = text(&name);
        let folder = path(&name);
        let broken = broken(&document, folder.parent().unwrap());
        assert!(broken.is_empty(), "{name}: {broken:?}");
        count += targets(&document).len();
    }
    assert!(count > 200, "{count}");
}

#[test]
fn a_link_to_a_heading_that_does_not_exist_is_detected() {
    let document = "# A table: `x`, and more\n[a](#a-table-x-and-more) [b](#a-table) [c](https://a.b/c) [d](Cargo.toml#e) [f](Nothing)\n```\n# no heading [g](Nothing)\n```\n";
    assert_eq!(broken(document, &path("")), ["#a-table", "Cargo.toml#e", "Nothing"]);
}
