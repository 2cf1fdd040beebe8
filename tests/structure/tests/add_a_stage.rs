//! README's "Add a stage", followed literally in a copy of the workspace: the code blocks are taken from the page, nothing
//! else is changed, and the new stage compiles, as a worker of the operators' program as well.

// A failed set-up fails the test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SAMPLE: &str = "notifier";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The code blocks of a section of README.md, without the indentation of the list.
fn code_blocks(section: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in section.lines() {
        let line = line.strip_prefix("   ").unwrap_or(line);
        match (&mut open, line) {
            (None, line) if line.starts_with("```") => open = Some(Vec::new()),
            (Some(lines), "```") => {
                blocks.push(lines.join("\n") + "\n");
                open = None;
            }
            (Some(lines), line) => lines.push(line),
            (None, _) => {}
        }
    }
    blocks
}

/// A copy of the product's files, by their path in the repository, which the steps change.
struct Copy(BTreeMap<String, Vec<u8>>);

impl Copy {
    /// Reads what git knows of the product.
    fn read() -> Self {
        let files = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .args(["Cargo.toml", "Cargo.lock", ".env.example"])
            .args(["shared", "handlers", "infra/emulators", "tests"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(files.status.success(), "{}", String::from_utf8_lossy(&files.stderr));
        let files = String::from_utf8(files.stdout).unwrap();
        // A file that is deleted and not committed is listed.
        let read = |file: &str| Some((file.to_owned(), fs::read(root().join(file)).ok()?));
        Self(files.lines().filter_map(read).collect())
    }

    fn add(&mut self, file: &str, content: &str) {
        let before = self.0.insert(file.to_owned(), content.as_bytes().to_vec());
        assert!(before.is_none(), "{file} exists");
    }

    fn text(&self, file: &str) -> String {
        String::from_utf8(self.0[file].clone()).unwrap()
    }

    fn edit(&mut self, file: &str, change: impl Fn(&str) -> String) {
        let before = self.text(file);
        let after = change(&before);
        assert_ne!(before, after, "{file}: the step changed nothing");
        self.0.insert(file.to_owned(), after.into_bytes());
    }

    /// Brings `folder` to this state. Files that are the same keep their times, so that cargo builds only what changed; files
    /// of an earlier run that are not part of it are removed, or they would still be packages and modules.
    fn write(&self, folder: &Path) {
        let files: BTreeMap<PathBuf, &Vec<u8>> = self
            .0
            .iter()
            .map(|(file, content)| (place(folder, file), content))
            .collect();
        for file in files_below(folder) {
            if !files.contains_key(&file) {
                fs::remove_file(file).unwrap();
            }
        }
        for (file, content) in files {
            if fs::read(&file).is_ok_and(|before| before == *content) {
                continue;
            }
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }
}

/// Folder of the packages within the copy. Cargo names what it builds after a package's path relative to its workspace: at
/// the same relative paths, the copy would replace what this workspace has built.
const PACKAGES: &str = "copy";

/// Where a file of the repository is in the copy.
fn place(copy: &Path, file: &str) -> PathBuf {
    match file {
        "Cargo.toml" | "Cargo.lock" => copy.join(file),
        file => copy.join(PACKAGES).join(file),
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// Inserts `text` before the first line `end` that follows `start`.
fn insert(source: &str, start: &str, end: &str, text: &str) -> String {
    let start = source.find(start).unwrap_or_else(|| panic!("no {start:?}"));
    let end = start
        + source[start..]
            .find(&format!("\n{end}\n"))
            .unwrap_or_else(|| panic!("no {end:?}"))
        + 1;
    format!("{}{text}{}", &source[..end], &source[end..])
}

#[test]
fn the_steps_of_the_readme_make_a_stage() {
    let blocks = code_blocks("Add a stage");
    let [variant, row, message, handler, line] = &blocks[..] else {
        panic!("five code blocks are expected: {blocks:#?}");
    };
    let mut copy = Copy::read();
    copy.edit("shared/contracts/src/topology.rs", |source| {
        let source = insert(source, "pub enum Stage {", "}", variant);
        let source = insert(&source, "pub const STAGES", "];", row);
        let (before, count) = source.split_once("pub const STAGES: [StageRow; ").unwrap();
        let (count, after) = count.split_once(']').unwrap();
        let count = count.parse::<usize>().unwrap() + 1;
        format!("{before}pub const STAGES: [StageRow; {count}]{after}")
    });
    copy.edit("shared/contracts/src/messages.rs", |source| {
        source.replacen("mod names;\n", "mod names;\nmod notice;\npub use notice::Notice;\n", 1)
    });
    copy.add("shared/contracts/src/messages/notice.rs", message);
    for file in ["Cargo.toml", "src/main.rs"] {
        let of_another = copy.text(&format!("handlers/dlq/{file}"));
        let own = of_another
            .replace("Stage::Dlq", "Stage::Notifier")
            .replace("dlq", SAMPLE);
        copy.add(&format!("handlers/{SAMPLE}/{file}"), &own);
    }
    copy.add(&format!("handlers/{SAMPLE}/src/lib.rs"), handler);
    copy.edit("handlers/pipeline/src/stages.rs", |source| {
        insert(source, "match stage {", "    }", line)
    });
    copy.edit("handlers/pipeline/Cargo.toml", |source| {
        source.replacen(
            "dlq.workspace = true\n",
            "dlq.workspace = true\nnotifier.workspace = true\n",
            1,
        )
    });
    copy.edit("Cargo.toml", |source| {
        let members = "members = [\"shared/*\", \"handlers/*\", \"infra/emulators/*\", \"tests/testkit\"]";
        let start = source.find("members = ").unwrap();
        let end = start + source[start..].find('\n').unwrap();
        let mut source = format!("{}{members}{}", &source[..start], &source[end..]);
        let dependency = "[workspace.dependencies]\nnotifier = { path = \"handlers/notifier\" }\n";
        source = source.replacen("[workspace.dependencies]\n", dependency, 1);
        for folder in ["shared/", "handlers/", "infra/", "tests/"] {
            source = source.replace(&format!("\"{folder}"), &format!("\"{PACKAGES}/{folder}"));
        }
        source
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("add-a-stage");
    copy.write(&folder);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build
        .args(["check", "--offline", "--quiet", "--workspace"])
        .current_dir(&folder)
        .env("CARGO_TERM_COLOR", "never");
    if let Some(target) = target_directory() {
        build.env("CARGO_TARGET_DIR", target);
    }
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The target directory of this build, so that compiled dependencies are found: `…/target/tmp` is cargo's for tests.
fn target_directory() -> Option<PathBuf> {
    Some(Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.to_owned())
}
