//! The GitHub workflows: properties that actionlint (run by `tests/run`) does not check.

use std::collections::BTreeMap;

use crate::{path, stages, text};

/// Returns the workflows by file name.
fn workflows() -> BTreeMap<String, String> {
    let folder = path(".github/workflows");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| (name.clone(), text(&format!(".github/workflows/{name}"))))
        .collect()
}

/// Returns the values of `uses:`, including their comments.
fn used(workflow: &str) -> impl Iterator<Item = &str> {
    workflow
        .lines()
        .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "))
}

#[test]
fn every_action_is_pinned_to_a_commit_with_its_version() {
    let mut by_action: BTreeMap<String, String> = BTreeMap::new();
    for (name, workflow) in workflows() {
        for action in used(&workflow).filter(|action| !action.starts_with("./")) {
            let (reference, version) = action.split_once(" # v").unwrap_or_else(|| panic!("{name}: {action}"));
            let (action, commit) = reference.split_once('@').unwrap();
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name}: {reference}"
            );
            assert_eq!(version.split('.').count(), 3, "{name}: {action}");
            // Every workflow uses the same version of an action.
            let before = by_action.insert(action.to_owned(), reference.to_owned());
            assert!(before.is_none_or(|before| before == reference), "{name}: {reference}");
        }
    }
    assert!(by_action.len() >= 8);
}

#[test]
fn no_job_with_credentials_runs_for_a_pull_request() {
    for (name, workflow) in workflows() {
        assert!(!workflow.contains("pull_request_target"), "{name}");
        let on = workflow
            .split("\non:\n")
            .nth(1)
            .unwrap()
            .split("\npermissions:")
            .next()
            .unwrap();
        if !on.contains("pull_request") {
            continue;
        }
        // A job with access to credentials must not run for a pull request.
        for job in workflow.split("\njobs:\n").nth(1).unwrap().split("\n\n") {
            let has_credentials =
                job.contains("id-token: write") || job.contains("azure/login") || job.contains("secrets.");
            assert!(
                !has_credentials || job.contains("\n    if: github.event_name != 'pull_request'\n"),
                "{name}: {job}"
            );
        }
    }
}

#[test]
fn every_workflow_has_minimal_permissions_and_stores_no_token_on_disk() {
    for (name, workflow) in workflows() {
        assert!(
            workflow.contains("\npermissions: {}\n") || workflow.contains("\npermissions:\n  contents: read\n"),
            "{name}"
        );
        let checkouts = used(&workflow)
            .filter(|action| action.starts_with("actions/checkout@"))
            .count();
        assert_eq!(
            checkouts,
            workflow.matches("persist-credentials: false").count(),
            "{name}"
        );
        // Expressions are passed through the environment: inside a script they could be executed (script injection).
        for script in workflow.split("run: |\n").skip(1) {
            let indent = script.len() - script.trim_start_matches(' ').len();
            let script = script
                .lines()
                .take_while(|line| line.is_empty() || line.len() - line.trim_start().len() >= indent);
            for line in script {
                assert!(!line.contains("${{"), "{name}: {line}");
            }
        }
    }
}

#[test]
fn every_job_has_a_timeout_and_every_triggered_workflow_a_concurrency_group() {
    for (name, workflow) in workflows() {
        let jobs = workflow.split("\njobs:\n").nth(1).unwrap();
        assert_eq!(
            jobs.matches("    runs-on: ").count(),
            jobs.matches("    timeout-minutes: ").count(),
            "{name}"
        );
        // A reusable workflow runs within the concurrency group of its caller.
        assert!(
            workflow.contains("\nconcurrency:\n")
                || !workflow.contains("  push:\n") && !workflow.contains("  pull_request:\n"),
            "{name}"
        );
    }
}

#[test]
fn there_is_an_image_for_every_handler() {
    let workflow = text(".github/workflows/image.yml");
    let handlers = format!("        handler: [{}]\n", stages().join(", "));
    assert_eq!(
        workflow.matches(&handlers).count(),
        workflow.matches(" handler: [").count()
    );
    assert_eq!(workflow.matches(&handlers).count(), 2, "built and pushed");
}

#[test]
fn a_failure_after_the_deployment_is_rolled_back() {
    let workflow = text(".github/workflows/deploy-environment.yml");
    let at = |step: &str| workflow.find(step).unwrap_or_else(|| panic!("{step}"));
    let order = [
        "az deployment group what-if",
        "gh attestation verify",
        "infra/rollout save",
        "az deployment group create",
        "xact-pipeline check",
        "xact-pipeline validate",
        "if: (failure() || cancelled()) && steps.former.outcome == 'success'",
        "infra/rollout restore",
    ];
    assert!(order.map(at).is_sorted());
}
