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
        // A reusable workflow runs within the concurrency group of its caller; deploy.yml has one for each environment.
        assert!(
            workflow.contains("\nconcurrency:\n")
                || name == "deploy.yml"
                || ["push", "pull_request", "schedule"]
                    .iter()
                    .all(|event| !workflow.contains(&format!("\n  {event}:\n"))),
            "{name}"
        );
    }
}

/// Returns the text of a job.
fn job<'a>(workflow: &'a str, name: &str) -> &'a str {
    let jobs = workflow.split("\njobs:\n").nth(1).unwrap();
    let start = if jobs.starts_with(&format!("  {name}:\n")) {
        0
    } else {
        jobs.find(&format!("\n  {name}:\n"))
            .unwrap_or_else(|| panic!("no job {name}"))
            + 1
    };
    let mut lines = jobs[start..].match_indices("\n  ").map(|(at, _)| start + at);
    let end = lines.find(|at| !jobs[at + 3..].starts_with([' ', '#']));
    &jobs[start..end.unwrap_or(jobs.len())]
}

#[test]
fn there_is_an_image_for_every_handler() {
    for (file, more) in [("image.yml", "pipeline"), ("release.yml", "pipeline, all")] {
        let workflow = text(&format!(".github/workflows/{file}"));
        let handlers = format!("        handler: [{}, {more}]\n", stages().join(", "));
        assert_eq!(workflow.matches(&handlers).count(), 2, "{file}: built and pushed");
        assert_eq!(workflow.matches(" handler: [").count(), 2, "{file}");
    }
    let deploy = text(".github/workflows/deploy-environment.yml");
    assert!(deploy.contains("for handler in $(jq --raw-output '.stages[].name' bicep/topology.json) pipeline; do"));
}

#[test]
fn nothing_is_deployed_or_released_without_the_tests_of_that_commit() {
    let ci = text(".github/workflows/ci.yml");
    // A call runs for the commit of the caller; a push would run it a second time.
    assert!(ci.contains("\n  workflow_call:\n") && !ci.contains("\n  push:\n"));
    for (file, chain) in [
        (
            "deploy.yml",
            &[("images", "[ci, lint]"), ("dev", "images"), ("prod", "dev")][..],
        ),
        (
            "release.yml",
            &[
                ("image", "[ci, version]"),
                ("publish", "[version, image]"),
                ("binary", "[ci, version]"),
                ("release", "[version, publish, binary]"),
            ],
        ),
    ] {
        let workflow = text(&format!(".github/workflows/{file}"));
        assert!(!workflow.contains("\n  workflow_run:"), "{file}");
        assert!(
            job(&workflow, "ci").contains("uses: ./.github/workflows/ci.yml"),
            "{file}"
        );
        for (name, needs) in chain {
            assert!(
                job(&workflow, name).contains(&format!("\n    needs: {needs}\n")),
                "{file}: {name}"
            );
        }
    }
    // Without a registry nothing is deployed, but everything is tested.
    let deploy = text(".github/workflows/deploy.yml");
    assert!(job(&deploy, "images").contains("if: vars.IMAGE_REGISTRY != ''"));
    // Production needs an approval, or a person who starts it.
    let condition = "\n    if: vars.PRODUCTION_HAS_REVIEWERS == 'true' || inputs.production\n";
    assert!(job(&deploy, "prod").contains(condition));
}

#[test]
fn deployments_of_one_environment_wait_for_each_other_and_for_no_other() {
    let deploy = text(".github/workflows/deploy.yml");
    assert!(
        !deploy.contains("\nconcurrency:"),
        "an approval would stop all environments"
    );
    let environment = text(".github/workflows/deploy-environment.yml");
    let group = "    concurrency:\n      group: deploy-${{ inputs.environment }}\n      cancel-in-progress: false\n";
    assert!(job(&environment, "deploy").contains(group));
}

#[test]
fn images_are_rebuilt_every_week_with_the_newest_libraries() {
    let deploy = text(".github/workflows/deploy.yml");
    let (_, cron) = deploy.split_once("- cron: \"").unwrap();
    let fields: Vec<&str> = cron.split('"').next().unwrap().split(' ').collect();
    assert!(
        fields[2..4] == ["*", "*"] && fields[4].parse::<u8>().is_ok_and(|day| day < 7),
        "{fields:?}"
    );
    // With the same tag, no app would get a new revision.
    let tag =
        "tag: ${{ github.event_name == 'schedule' && format('{0}-{1}', github.sha, github.run_number) || github.sha }}";
    assert_eq!(deploy.matches(tag).count(), 3);
    let image = text(".github/workflows/image.yml");
    assert_eq!(
        image.matches("no-cache-filters: system\n").count(),
        image.matches("cache-from: ").count()
    );
    assert!(text("Dockerfile").contains(" AS system\n"));
}

#[test]
fn what_is_released_is_signed_scanned_and_listed() {
    let release = text(".github/workflows/release.yml");
    for (name, parts) in [
        ("image", &["packages: write", "exit-code: 1", "ubuntu-24.04-arm"][..]),
        ("publish", &["actions/attest@", "sbom-path: ", "push-to-registry: true"]),
        ("binary", &["ubuntu-24.04-arm", "-alpine", "statically linked"]),
        (
            "release",
            &[
                "contents: write",
                "SHA256SUMS",
                "subject-checksums: ",
                "crates.spdx.json",
                "gh release create",
            ],
        ),
        ("version", &["CHANGELOG.md", "Cargo.toml"]),
    ] {
        for part in parts {
            assert!(job(&release, name).contains(part), "{name}: {part}");
        }
    }
    assert_eq!(release.matches("contents: write").count(), 1);
    // The compose file that it changes still has what it replaces.
    let compose = text("infra/compose.yaml");
    assert!(compose.contains("localhost/xact-pipeline/all}:${XACT_IMAGE_TAG:-local}"));
}

#[test]
fn a_failure_after_the_deployment_is_rolled_back() {
    let workflow = text(".github/workflows/deploy-environment.yml");
    let deploy = job(&workflow, "deploy");
    let mut from = 0;
    for step in [
        "gh attestation verify",
        "infra/rollout save",
        "az deployment group create",
        "infra/rollout wait",
        // The first token has expired by now (AADSTS700024).
        "uses: azure/login@",
        "infra/rollout settings",
        "xact-pipeline check",
        "xact-pipeline validate",
        "if: (failure() || cancelled()) && steps.former.outcome == 'success'",
        "uses: azure/login@",
        "infra/rollout restore",
    ] {
        from += deploy[from..].find(step).unwrap_or_else(|| panic!("{step}"));
    }
    assert!(
        workflow.find("az deployment group what-if").unwrap() < workflow.find("az deployment group create").unwrap()
    );
}

#[test]
fn the_test_subscription_is_opted_into_and_left_empty() {
    let workflow = text(".github/workflows/azure-e2e.yml");
    let azure = job(&workflow, "azure");
    assert!(azure.contains("\n    if: vars.AZURE_E2E == 'true'\n"));
    let mut from = 0;
    for step in [
        "gh attestation verify",
        "--name first",
        "infra/images import",
        "bicep/grant-onelake.sh",
        "--name second",
        "--name third",
        "infra/rollout wait",
        "uses: azure/login@",
        "xact-pipeline check",
        "xact-pipeline validate",
        "if: always()",
        "az group delete",
        "az keyvault purge",
    ] {
        from += azure[from..].find(step).unwrap_or_else(|| panic!("{step}"));
    }
}

#[test]
fn every_deployment_passes_the_schema_of_the_lakehouse() {
    // A variable of GitHub cannot be empty, as the schema of a lakehouse without schemas is.
    let schema = "SCHEMA: ${{ vars.FABRIC_SCHEMA != 'none' && (vars.FABRIC_SCHEMA || 'dbo') || '' }}\n";
    for (name, workflow) in workflows() {
        let lakehouses = workflow
            .matches("LAKEHOUSE_ID: ${{ vars.FABRIC_LAKEHOUSE_ID }}\n")
            .count();
        assert_eq!(workflow.matches(schema).count(), lakehouses, "{name}");
    }
    assert!(text(".github/workflows/what-if.yml").contains("schema: env.SCHEMA}"));
}
