//! "Add a stage" of `handlers/README.md`, followed literally in a copy of the workspace: the code blocks are taken from the page, nothing
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

/// The code blocks of a section of `handlers/README.md`, without the indentation of the list.
fn code_blocks(section: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("handlers/README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let unindented = |line: &str| format!("{}\n", line.strip_prefix("   ").unwrap_or(line));
    // The first line names the language.
    blocks
        .map(|block| block.trim_end().lines().skip(1).map(unindented).collect())
        .collect()
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
        let files = self.0.iter().map(|(file, content)| (place(folder, file), content));
        let files: BTreeMap<PathBuf, &Vec<u8>> = files.collect();
        let earlier = files_below(folder).into_iter();
        for file in earlier.filter(|file| !files.contains_key(file)) {
            fs::remove_file(file).unwrap();
        }
        for (file, content) in files {
            if fs::read(&file).ok().as_ref() != Some(content) {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
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
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// Inserts `text` before the first line `end` that follows `start`.
fn insert(source: &str, start: &str, end: &str, text: &str) -> String {
    let (before, after) = source.split_once(start).unwrap_or_else(|| panic!("no {start:?}"));
    let end = format!("\n{end}\n");
    let (within, after) = after.split_once(&end).unwrap_or_else(|| panic!("no {end:?}"));
    format!("{before}{start}{within}\n{text}{}{after}", &end[1..])
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
        let line = "dlq.workspace = true\n";
        source.replacen(line, &format!("{line}notifier.workspace = true\n"), 1)
    });
    copy.edit("Cargo.toml", |source| {
        let members = "members = [\"shared/*\", \"handlers/*\", \"infra/emulators/*\", \"tests/testkit\"]";
        let before = source.lines().find(|line| line.starts_with("members = ")).unwrap();
        let mut source = source.replacen(before, members, 1);
        let dependency = "[workspace.dependencies]\nnotifier = { path = \"handlers/notifier\" }\n";
        source = source.replacen("[workspace.dependencies]\n", dependency, 1);
        for folder in ["shared/", "handlers/", "infra/", "tests/"] {
            source = source.replace(&format!("\"{folder}"), &format!("\"{PACKAGES}/{folder}"));
        }
        source
    });
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = temporary.join("add-a-stage");
    copy.write(&folder);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["check", "--offline", "--quiet", "--workspace"])
        .current_dir(&folder)
        .env("CARGO_TERM_COLOR", "never")
        // That of this build, so that compiled dependencies are found.
        .env("CARGO_TARGET_DIR", temporary.parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
