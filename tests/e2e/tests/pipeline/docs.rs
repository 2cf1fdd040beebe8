//! The links in the documents lead to existing files, and the documented commands are accepted by the program.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the runbooks.
const RUNBOOKS: &str = "infra/runbooks";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the paths of these documents and of every runbook, below the root.
fn with_runbooks(documents: &[&str]) -> Vec<String> {
    let runbooks = fs::read_dir(root().join(RUNBOOKS)).unwrap();
    let runbook = |name: std::ffi::OsString| format!("{RUNBOOKS}/{}", name.to_string_lossy());
    let runbooks = runbooks.map(|entry| runbook(entry.unwrap().file_name()));
    documents.iter().map(|&name| name.to_owned()).chain(runbooks).collect()
}

/// Returns text and target of every link to a file of the repository.
fn links(document: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (at, _) in document.match_indices("](") {
        let text = document[..at].rsplit('[').next().unwrap();
        let target = document[at + 2..].split(')').next().unwrap();
        if !target.contains("://") {
            links.push((text, target.split('#').next().unwrap()));
        }
    }
    links
}

#[test]
fn every_link_target_exists_and_contains_the_named_test() {
    let mut tests = 0;
    let documents = [
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
        "handlers/README.md",
        "handlers/pipeline/README.md",
        "shared/README.md",
        "bicep/README.md",
        "bicep/SCALING.md",
        "infra/README.md",
        "infra/COST.md",
        "README.md",
    ];
    for document in with_runbooks(&documents) {
        let path = root().join(&document);
        let text = fs::read_to_string(&path).unwrap();
        for (name, target) in links(&text) {
            let file = path.parent().unwrap().join(target);
            assert!(file.exists(), "{document}: {target}");
            // The name of a function stands in code quotes.
            let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
                continue;
            };
            let source = fs::read_to_string(&file).unwrap();
            let is_there = source.contains(&format!("fn {name}("));
            assert!(is_there, "{document}: {name} is not in {target}");
            tests += 1;
        }
    }
    assert!(tests > 10, "{tests}");
}

/// The documents whose commands are tried, besides the runbooks.
const COMMANDS: [&str; 6] = [
    "README.md",
    "handlers/README.md",
    "handlers/pipeline/README.md",
    "infra/README.md",
    "bicep/README.md",
    "bicep/SCALING.md",
];

/// Beginnings of the commands that run the program in the documents.
const PROGRAM: [&str; 3] = ["xact-pipeline ", "cargo run -- ", "infra/operate rg-xact-prod "];

/// Returns the commands of the program in a document's blocks of code, without comments, the commands that they are piped into and the files that they write.
fn commands(document: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for (number, block) in document.split("```").enumerate() {
        let (language, lines) = block.split_once('\n').unwrap_or_default();
        if number % 2 == 0 || !["bash", "console", "sh"].contains(&language) {
            continue;
        }
        for line in lines.lines() {
            let line = line.trim_start().trim_start_matches("$ ");
            // Variables may be set for it.
            let line = line.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
            let line = match line.strip_prefix('=') {
                Some(value) => value.split_once(' ').unwrap_or_default().1,
                None => line,
            };
            let Some(arguments) = PROGRAM.iter().find_map(|program| line.strip_prefix(program)) else {
                continue;
            };
            let ends = [" #", " | ", " >"];
            let arguments = ends.iter().fold(arguments, |line, end| line.split(end).next().unwrap());
            commands.extend(alternatives(&with_dates(arguments)));
        }
    }
    commands
}

/// Replaces the commands that the shell runs for dates.
fn with_dates(arguments: &str) -> String {
    let mut parts = arguments.split("\"$(");
    let mut replaced = parts.next().unwrap().to_owned();
    for part in parts {
        let (command, rest) = part.split_once(")\"").unwrap();
        assert!(command.starts_with("date "), "{command}");
        replaced.push_str("2025-01-31");
        replaced.push_str(rest);
    }
    replaced
}

/// Returns the alternatives of a command: `topics create|list` is two.
fn alternatives(arguments: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    for word in arguments.split_whitespace() {
        let word = word.trim_matches('\'');
        let choices: Vec<&str> = if word.contains("://") {
            vec![word]
        } else {
            word.split('|').collect()
        };
        let with = |command: &Vec<String>, choice: &str| [command.as_slice(), &[choice.to_owned()]].concat();
        commands = commands
            .iter()
            .flat_map(|command| choices.iter().map(move |choice| with(command, choice)))
            .collect();
    }
    commands
}

/// With `--help` at its end a command does nothing, but the arguments before are parsed: an unknown flag or an invalid value is
/// refused.
#[test]
fn every_documented_command_exists() {
    let program = xact_testkit::binary("xact-pipeline").unwrap();
    let mut count = 0;
    for document in with_runbooks(&COMMANDS) {
        for arguments in commands(&fs::read_to_string(root().join(&document)).unwrap()) {
            // Placeholders get a valid value.
            let arguments: Vec<String> = arguments
                .into_iter()
                .map(|argument| match argument.as_str() {
                    "PARTITION:OFFSET" => "1:42".to_owned(),
                    "NAME" => "download".to_owned(),
                    "N" | "PARTITION" | "OFFSET" => "2".to_owned(),
                    "DATE" | "NEXT_DATE" | "TIME" => "2025-01-31".to_owned(),
                    _ => argument,
                })
                .filter(|argument| argument != "--help")
                .collect();
            let output = Command::new(&program).args(&arguments).arg("--help").output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{document}: {arguments:?}: {stderr}");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn an_unknown_command_is_detected() {
    let commands = commands("```console\n$ X_Y=1 xact-pipeline topics list|crate --all >file # not this\n```\n");
    assert_eq!(commands, [["topics", "list", "--all"], ["topics", "crate", "--all"]]);
    let program = xact_testkit::binary("xact-pipeline").unwrap();
    for arguments in [
        &["topics", "crate"][..],
        &["validate", "--wait", "3"],
        &["dlq", "list", "--since", "soon"],
    ] {
        let output = Command::new(&program).args(arguments).arg("--help").output();
        assert!(!output.unwrap().status.success(), "{arguments:?}");
    }
}
