//! One style: imports stand in three groups (std, other crates, this workspace), and a module is `x.rs` with `x/`.

use super::{root, sources};

/// The names in code of the crates without the prefix `xact_`: folders of the handlers and of the emulators.
fn unprefixed_crates() -> Vec<String> {
    ["handlers", "infra/emulators"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().replace('-', "_"))
        .collect()
}

/// 0: std; 1: other crates; 2: this workspace, of which `ours` are crates and modules.
fn group(path: &str, ours: &[String]) -> u8 {
    let first = path
        .trim_start_matches("::")
        .split([':', ' ', ';', '{'])
        .next()
        .unwrap_or_default();
    match first {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        name if name.starts_with("xact_") || ours.iter().any(|own| own == name) => 2,
        _ => 1,
    }
}

/// What is wrong with the imports of a file.
fn disorder(text: &str, crates: &[String]) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let modules = lines.iter().filter_map(|line| {
        let (visibility, name) = line.split_once("mod ")?;
        let is_module = ["", "pub", "pub(crate)"].contains(&visibility.trim());
        is_module.then(|| name.trim_end_matches([';', '{', ' ']).to_owned())
    });
    let ours: Vec<String> = modules.chain(crates.iter().cloned()).collect();
    let mut wrong = Vec::new();
    // The import before this line, and whether a blank line has followed it.
    let mut previous: Option<(u8, bool)> = None;
    let mut number = 0;
    while number < lines.len() {
        let line = lines[number].trim_start();
        if let Some(path) = line.strip_prefix("use ") {
            let group = group(path, &ours);
            let what = match previous {
                Some((before, _)) if before > group => Some("out of order"),
                Some((before, false)) if before < group => Some("a blank line is missing before"),
                Some((before, true)) if before == group => Some("a blank line within a group before"),
                _ => None,
            };
            wrong.extend(what.map(|what| format!("{}: {what}: {line}", number + 1)));
            while !lines[number].trim_end().ends_with(';') {
                number += 1;
            }
            previous = Some((group, false));
        } else if line.is_empty() {
            previous = previous.map(|(group, _)| (group, true));
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            previous = None;
        }
        number += 1;
    }
    wrong
}

#[test]
fn imports_stand_in_three_groups() {
    let crates = unprefixed_crates();
    let mut wrong = Vec::new();
    for file in sources() {
        let lines = disorder(&std::fs::read_to_string(&file).unwrap(), &crates);
        wrong.extend(lines.iter().map(|line| format!("{}:{line}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn disorder_is_found() {
    for (text, wrong) in [
        ("use std::fmt;\n\nuse url::Url;\n\nuse crate::x;\n", 0),
        ("use crate::x;\nuse std::fmt;\n", 1),
        ("use std::fmt;\nuse url::Url;\n", 1),
        ("use std::fmt;\n\nuse std::io;\n", 1),
    ] {
        assert_eq!(disorder(text, &[]).len(), wrong, "{text}");
    }
}

/// Cargo takes `tests/support.rs` for a test of its own, so that `tests/support/mod.rs` is the usual exception.
#[test]
fn a_module_is_a_file_with_a_folder_of_its_name() {
    let old: Vec<String> = sources()
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "mod.rs"))
        .map(|file| file.strip_prefix(root()).unwrap().display().to_string())
        .filter(|file| !file.contains("/tests/"))
        .collect();
    assert!(old.is_empty(), "{old:?}: name it after its folder, beside it");
}
