//! `infra/README.md`: what it quotes is what the program says, and what it names is there.

use std::path::Path;
use std::process::Command;

use crate::{path, stages, text, variables};
use xact_contracts::topology::Groups;

const GUIDE: &str = "infra/README.md";

/// The code spans of a text, those in double backquotes included.
fn code_spans(text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        rest = &rest[at..];
        let fence = &rest[..rest.len() - rest.trim_start_matches('`').len()];
        let after = &rest[fence.len()..];
        let Some(end) = after.find(fence) else { break };
        spans.push(after[..end].trim());
        rest = &after[end + fence.len()..];
    }
    spans
}

/// The text without its blocks of code, and the blocks of a language.
fn blocks(guide: &str, language: &str) -> (String, Vec<String>) {
    let (mut prose, mut found) = (String::new(), Vec::new());
    let mut inside: Option<(bool, String)> = None;
    for line in guide.lines() {
        match (&mut inside, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => inside = Some((kind == language, String::new())),
            (None, None) => prose.extend([line, "\n"]),
            (Some((wanted, block)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(block));
                }
                inside = None;
            }
            (Some((_, block)), None) => block.extend([line, "\n"]),
        }
    }
    (prose, found)
}

/// Whatever says something to an operator, each file with its texts on one line: a string goes on behind a backslash.
fn sources() -> Vec<String> {
    fn collect(folder: &Path, sources: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What tests say nobody quotes.
                if !path.ends_with("tests") {
                    collect(&path, sources);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") || path.ends_with("infra/rollout") {
                let source = std::fs::read_to_string(&path).unwrap();
                let mut joined = String::with_capacity(source.len());
                let mut lines = source.lines();
                while let Some(line) = lines.next() {
                    let mut line = line.to_owned();
                    while line.ends_with('\\') {
                        line.pop();
                        let Some(next) = lines.next() else { break };
                        line.push_str(next.trim_start());
                    }
                    joined.push_str(&line);
                    joined.push('\n');
                }
                sources.push(joined);
            }
        }
    }
    let mut sources = Vec::new();
    for folder in ["handlers", "shared", "infra"] {
        collect(&path(folder), &mut sources);
    }
    sources
}

/// Whether the parts of a quotation stand in the source, one behind the other, with little between them.
fn is_said(quotation: &str, source: &str) -> bool {
    let mut parts = quotation.split('…').map(str::trim).filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return false };
    let parts: Vec<&str> = parts.collect();
    source.match_indices(first).any(|(at, _)| {
        let mut from = at + first.len();
        parts.iter().all(|part| {
            let end = source.len().min(from + 400);
            let Some(window) = source
                .get(from..)
                .map(|rest| &rest[..rest.floor_char_boundary(end - from)])
            else {
                return false;
            };
            let found = window.find(part);
            from += found.map_or(0, |at| at + part.len());
            found.is_some()
        })
    })
}

#[test]
fn every_text_in_the_troubleshooting_tables_is_said_by_the_program() {
    let guide = text(GUIDE);
    let section = guide.split("\n## Troubleshooting\n").nth(1).unwrap();
    let (sources, variables) = (sources(), variables());
    let (mut quoted, mut unsaid) = (0, Vec::new());
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cell = row[2..].split(" | ").next().unwrap();
        for quotation in code_spans(cell) {
            // A variable is named, not quoted.
            if variables.contains(&quotation.to_owned()) {
                continue;
            }
            if !sources.iter().any(|source| is_said(quotation, source)) {
                unsaid.push(quotation);
            }
            quoted += 1;
        }
    }
    assert!(unsaid.is_empty(), "nobody says: {unsaid:#?}");
    assert!(quoted > 40, "{quoted}");
}

#[test]
fn a_text_that_is_not_said_is_noticed() {
    let source = r#"format!("{host} failed {} times in a row: no request is made")"#;
    assert!(is_said("failed …times in a row", source));
    assert!(is_said("{host} failed … times in a row: no request is made", source));
    assert!(!is_said("failed …times in a line", source));
    assert!(!is_said("no request is made …failed", source));
    assert!(!is_said("…", source));
}

#[test]
fn every_variable_that_it_names_is_one() {
    // Of the parameter files, of the unit, of GitHub; and a value.
    const OTHERS: [&str; 12] = [
        "XACT_ALERT_EMAIL",
        "WORKERS",
        "RUNNER",
        "RESOURCE_GROUP",
        "FABRIC_WORKSPACE_ID",
        "FABRIC_LAKEHOUSE_ID",
        "ALERT_EMAIL",
        "VALIDATE_ATTACHMENT_URL",
        "SASL_SSL",
        // To be filled in.
        "URL",
        "WORKSPACE_ID",
        "OBJECT_ID",
    ];
    let (prose, _) = blocks(&text(GUIDE), "");
    let variables = variables();
    for span in code_spans(&prose) {
        let name = span.split('=').next().unwrap();
        let is_name = name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(
            !is_name || OTHERS.contains(&name) || variables.contains(&name.to_owned()),
            "there is no variable {name}"
        );
    }
}

#[test]
fn it_names_every_stage_and_every_group() {
    let guide = text(GUIDE);
    assert!(guide.contains(&format!("for worker in {}; do", stages().join(" "))));
    let groups = Groups {
        prefix: "xact".to_owned(),
        event_ingester: "xact-event-ingester".to_owned(),
    };
    for row in &xact_contracts::topology::STAGES {
        let group = groups.of(row.stage);
        assert!(guide.contains(&format!("`{group}`")), "{group}");
    }
}

#[test]
fn its_commands_are_bash() {
    let (_, commands) = blocks(&text(GUIDE), "bash");
    assert!(commands.len() > 10);
    for block in commands {
        let output = Command::new("bash").args(["-n", "-c", &block]).output().unwrap();
        assert!(
            output.status.success(),
            "{}\n{block}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn its_links_lead_somewhere() {
    let guide = text(GUIDE);
    let (prose, _) = blocks(&guide, "");
    let headings: Vec<String> = guide
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect();
    let mut links = 0;
    for (at, _) in prose.match_indices("](") {
        let target = prose[at + 2..].split(')').next().unwrap();
        if let Some(heading) = target.strip_prefix('#') {
            assert!(headings.iter().any(|known| known == heading), "{target}");
        } else if !target.contains("://") {
            assert!(path("infra").join(target).exists(), "{target}");
        }
        links += 1;
    }
    assert!(links > 10, "{links}");
}
