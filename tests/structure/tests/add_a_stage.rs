//! README's "Add a stage", followed literally in a copy of the workspace: the code blocks are taken from the page, nothing
//! else is changed, and the new stage compiles, as a worker of the operators' program as well.

// A failed set-up fails the test.
#![allow(clippy::unwrap_used)]

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

/// Folder of the packages within the copy. Cargo names what it builds after a package's path relative to its workspace: at
/// the same relative paths, the copy would replace what this workspace has built.
const PACKAGES: &str = "copy";

/// Copies what git knows of the product, over an earlier copy; files that did not change keep their times, so that cargo
/// builds only what did.
fn copy_of_the_workspace() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("add-a-stage");
    let files = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args([
            "Cargo.toml",
            "Cargo.lock",
            ".env.example",
            "shared",
            "handlers",
            "infra/emulators",
            "tests",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(files.status.success(), "{}", String::from_utf8_lossy(&files.stderr));
    for file in String::from_utf8(files.stdout).unwrap().lines() {
        let (from, to) = (root().join(file), place(&copy, file));
        let Ok(content) = fs::read(&from) else { continue };
        write(&to, &content);
    }
    copy
}

/// Where a file of the repository is in the copy.
fn place(copy: &Path, file: &str) -> PathBuf {
    match file {
        "Cargo.toml" | "Cargo.lock" => copy.join(file),
        file => copy.join(PACKAGES).join(file),
    }
}

fn write(file: &Path, content: &[u8]) {
    if fs::read(file).is_ok_and(|before| before == content) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// Edits a file of the copy, starting from the original.
fn edit(copy: &Path, file: &str, change: impl Fn(&str) -> String) {
    let before = fs::read_to_string(root().join(file)).unwrap();
    let after = change(&before);
    assert_ne!(before, after, "{file}: the step changed nothing");
    write(&place(copy, file), after.as_bytes());
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
    let copy = copy_of_the_workspace();
    edit(&copy, "shared/contracts/src/topology.rs", |source| {
        let source = insert(source, "pub enum Stage {", "}", variant);
        let source = insert(&source, "pub const STAGES", "];", row);
        let (before, count) = source.split_once("pub const STAGES: [StageRow; ").unwrap();
        let (count, after) = count.split_once(']').unwrap();
        let count = count.parse::<usize>().unwrap() + 1;
        format!("{before}pub const STAGES: [StageRow; {count}]{after}")
    });
    edit(&copy, "shared/contracts/src/messages.rs", |source| {
        source.replacen("mod names;\n", "mod names;\nmod notice;\npub use notice::Notice;\n", 1)
    });
    write(
        &place(&copy, "shared/contracts/src/messages/notice.rs"),
        message.as_bytes(),
    );
    for file in ["Cargo.toml", "src/main.rs"] {
        let of_another = fs::read_to_string(root().join("handlers/dlq").join(file)).unwrap();
        let own = of_another
            .replace("Stage::Dlq", "Stage::Notifier")
            .replace("dlq", SAMPLE);
        write(&place(&copy, "handlers").join(SAMPLE).join(file), own.as_bytes());
    }
    write(
        &place(&copy, "handlers").join(SAMPLE).join("src/lib.rs"),
        handler.as_bytes(),
    );
    edit(&copy, "handlers/pipeline/src/stages.rs", |source| {
        insert(source, "match stage {", "    }", line)
    });
    edit(&copy, "handlers/pipeline/Cargo.toml", |source| {
        source.replacen(
            "dlq.workspace = true\n",
            "dlq.workspace = true\nnotifier.workspace = true\n",
            1,
        )
    });
    edit(&copy, "Cargo.toml", |source| {
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
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build
        .args(["check", "--offline", "--quiet", "--workspace"])
        .current_dir(&copy)
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
