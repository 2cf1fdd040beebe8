//! `infra/README.md`: the texts that it quotes occur in the sources, and what it names exists.

use std::path::Path;
use std::process::Command;

use crate::{path, stages, text, variables};
use xact_contracts::topology::Groups;

const GUIDE: &str = "infra/README.md";

/// Returns the code spans of a text, including those in double backquotes.
pub(crate) fn code_spans(text: &str) -> Vec<&str> {
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

/// Returns the text without its code blocks, and the blocks of Bash.
fn split_code(guide: &str) -> (String, Vec<&str>) {
    let parts = || guide.split("\n```");
    let bash = parts()
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("bash\n"));
    (parts().step_by(2).collect(), bash.collect())
}

/// Returns the sources that print texts for operators. Strings that continue after a backslash are joined into one line.
pub(crate) fn sources() -> Vec<String> {
    fn collect(folder: &Path, sources: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    collect(&path, sources);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") || path.ends_with("infra/rollout") {
                let source = std::fs::read_to_string(&path).unwrap();
                sources.push(source.split("\\\n").map(str::trim_start).collect());
            }
        }
    }
    let mut sources = Vec::new();
    for folder in ["handlers", "shared", "infra"] {
        collect(&path(folder), &mut sources);
    }
    sources
}

/// Returns whether the parts of a quotation, separated by `…`, occur in the source in order and within 400 characters of each
/// other.
pub(crate) fn occurs_in(quotation: &str, source: &str) -> bool {
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
fn every_quoted_text_in_the_troubleshooting_tables_occurs_in_the_sources() {
    let guide = text(GUIDE);
    let section = guide.split("\n## Troubleshooting\n").nth(1).unwrap();
    let (sources, variables) = (sources(), variables());
    let (mut quoted, mut missing) = (0, Vec::new());
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cell = row[2..].split(" | ").next().unwrap();
        for quotation in code_spans(cell) {
            // Names of variables are not quotations.
            if variables.contains(&quotation.to_owned()) {
                continue;
            }
            if !sources.iter().any(|source| occurs_in(quotation, source)) {
                missing.push(quotation);
            }
            quoted += 1;
        }
    }
    assert!(missing.is_empty(), "not in the sources: {missing:#?}");
    assert!(quoted > 40, "{quoted}");
}

#[test]
fn a_quotation_that_does_not_occur_is_detected() {
    let source = r#"format!("{host} failed {} times in a row: no request is made")"#;
    assert!(occurs_in("failed …times in a row", source));
    assert!(occurs_in("{host} failed … times in a row: no request is made", source));
    assert!(!occurs_in("failed …times in a line", source));
    assert!(!occurs_in("no request is made …failed", source));
    assert!(!occurs_in("…", source));
}

#[test]
fn every_variable_in_the_guide_exists() {
    // Variables of the parameter files, the systemd unit and GitHub; a value; and placeholders.
    const OTHERS: [&str; 15] = [
        "XACT_ALERT_EMAIL",
        "XACT_IMAGE_TAG",
        "IMAGE_REGISTRY",
        "WORKERS",
        "RUNNER",
        "RESOURCE_GROUP",
        "FABRIC_WORKSPACE_ID",
        "FABRIC_LAKEHOUSE_ID",
        "FABRIC_SCHEMA",
        "ALERT_EMAIL",
        "VALIDATE_ATTACHMENT_URL",
        "SASL_SSL",
        "URL",
        "WORKSPACE_ID",
        "OBJECT_ID",
    ];
    let (prose, _) = split_code(&text(GUIDE));
    let variables = variables();
    for span in code_spans(&prose) {
        let name = span.split('=').next().unwrap();
        let is_name = name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(
            !is_name || OTHERS.contains(&name) || variables.contains(&name.to_owned()),
            "{name} is not a variable"
        );
    }
}

#[test]
fn every_stage_and_every_consumer_group_is_named() {
    assert!(text(GUIDE).contains(&format!("for worker in {}; do", stages().join(" "))));
    let runbook = text("infra/runbooks/consumer-lag.md");
    let groups = Groups {
        prefix: "xact".to_owned(),
        event_ingester: "xact-event-ingester".to_owned(),
    };
    for row in &xact_contracts::topology::STAGES {
        let group = groups.of(row.stage);
        assert!(runbook.contains(&format!("| `{group}` | `{}` |", row.name)), "{group}");
    }
}

#[test]
fn every_command_is_valid_bash() {
    let guide = text(GUIDE);
    let (_, commands) = split_code(&guide);
    assert!(commands.len() > 10);
    for block in commands {
        let output = Command::new("bash").args(["-n", "-c", block]).output().unwrap();
        assert!(
            output.status.success(),
            "{}\n{block}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// GitHub's answer for a repository, and the subject of the credentials that the guide makes for it.
#[test]
fn credentials_have_the_subject_that_github_presents() {
    const PREFIX: &str = "repo:OWNER@24213737/NAME@1323153730";
    let guide = text(GUIDE);
    let (_, commands) = split_code(&guide);
    let setup = commands
        .iter()
        .find(|block| block.contains("customization/sub"))
        .unwrap();
    for (answer, status, subject) in [
        // Immutable (https://github.com/Azure/azure-dev/issues/9382), and of an older repository or server.
        (PREFIX, 0, PREFIX),
        ("", 0, "repo:OWNER/NAME"),
        (r#"{"message":"Not Found"}"#, 1, "repo:OWNER/NAME"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let programs = [
            ("az", "echo \"$*\" >>\"$(dirname \"$0\")/calls\"; echo id".to_owned()),
            (
                "gh",
                format!("case \"$*\" in *customization/sub*) echo '{answer}'; exit {status} ;; esac"),
            ),
        ];
        for (name, program) in programs {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{program}\n")).unwrap();
            std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", setup])
            .env("PATH", search)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
        let environments = ["images", "dev-plan", "dev", "prod-plan", "prod"];
        assert_eq!(calls.matches("\"subject\": ").count(), environments.len());
        for environment in environments {
            assert!(
                calls.contains(&format!("\"subject\": \"{subject}:environment:{environment}\"}}")),
                "{calls}"
            );
        }
    }
}
