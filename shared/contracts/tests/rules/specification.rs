//! `SPECIFICATION.md` agrees with the code: its topology, and the constants and variables that it cites. So does the map of
//! the shared crates: its crates and files exist.

use std::collections::BTreeSet;
use std::path::Path;

use xact_contracts::file_rules::FileType;
use xact_contracts::topology::{Groups, STAGES, TopicRole, Topics};

const SPECIFICATION: &str = include_str!("../../SPECIFICATION.md");

#[test]
fn its_topology_is_that_of_the_code() {
    let (topics, groups) = (Topics::default(), Groups::default());
    for row in &STAGES {
        let consumed = match row.consumes {
            TopicRole::Retry => "xact.downloads.pending.retry.*".to_owned(),
            role => topics.of(role).concat(),
        };
        let start = format!("| `{}` | `{consumed}` | `{}` | ", row.name, groups.of(row.stage));
        let line = SPECIFICATION.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("there is no line {start:?}"));
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let produces: Vec<String> = row
            .produces
            .iter()
            .map(|role| format!("{role:?}").to_lowercase())
            .collect();
        let produces = if produces.is_empty() {
            "–".to_owned()
        } else {
            produces.join(", ")
        };
        assert_eq!(cells[4], produces, "{}", row.name);
        for table in row.tables {
            assert!(cells[5].contains(table), "{}: {table}", row.name);
        }
    }
}

#[test]
fn its_extensions_are_those_of_the_code() {
    let extensions: Vec<&str> = FileType::extensions().collect();
    assert!(SPECIFICATION.contains(&format!("(`FileType::extensions`): {}.", extensions.join(" "))));
}

/// A constant is cited in place of its number, so it must be found.
#[test]
fn every_constant_and_variable_that_it_cites_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = String::new();
    for folder in ["shared", "handlers"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let cited: BTreeSet<&str> = SPECIFICATION
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.trim_matches('_').contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    assert!(cited.len() > 20, "{cited:?}");
    let variables = std::fs::read_to_string(root.join(".env.example")).unwrap();
    let is_known = |name: &str| {
        let constant = format!("const {name}:");
        let variable = format!("{name}=");
        sources.contains(&constant) || variables.contains(&variable) || name == "NAMESPACE_URL"
    };
    let unknown: Vec<&str> = cited.into_iter().filter(|name| !is_known(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn every_crate_and_file_of_the_map_exists() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let map = std::fs::read_to_string(shared.join("README.md")).unwrap();
    let is_file = |code: &&str| code.contains('/') && code.ends_with(".rs");
    let files: Vec<&str> = map.split('`').skip(1).step_by(2).filter(is_file).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        assert!(
            shared.join(file).is_file() || shared.join("..").join(file).is_file(),
            "{file}"
        );
    }
    for entry in std::fs::read_dir(&shared).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_crate = shared.join(&name).join("Cargo.toml").is_file();
        assert!(!is_crate || map.contains(&format!("| [{name}]({name}) |")), "{name}");
    }
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
