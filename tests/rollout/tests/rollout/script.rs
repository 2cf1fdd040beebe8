//! `infra/rollout`, run with a fake `az` that emulates Azure.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::path;

const GROUP: &str = "rg-xact-test";

/// A fake `az` with two stages, download, which runs image 2 and ran image 1 before, and upload, whose image 2 never became
/// ready; and with the console once a test has added it. Another app in the group does not belong to the pipeline. A patch creates a new revision with the patched template.
const AZ: &str = r#"#!/bin/sh
folder=$(dirname "$0")
echo "$*" >>"$folder/calls"
app() { echo "$*" | sed -E 's/.*(ca-[a-z]*).*/\1/'; }
case "$*" in
  "containerapp list "*) [ ! -e "$folder/broken" ] || { echo 'ERROR: az login' >&2; exit 1; }; jq --slurp . "$folder"/app-*.json ;;
  "containerapp show "*) cat "$folder/app-$(app "$@").json" ;;
  "containerapp revision list "*) cat "$folder/revisions-$(app "$@").json" ;;
  "rest --method patch "*)
    name=$(app "$@")
    body=$(echo "$*" | sed -E 's/.*--body (.*) --only-show-errors.*/\1/')
    jq --arg state "$(cat "$folder/new-revision-is" 2>/dev/null || echo Healthy)" --argjson body "$body" \
      '. + [{name: "new", properties: {createdTime: "2026-01-03", provisioningState: "Provisioned", healthState: $state, template: $body.properties.template}}]' \
      "$folder/revisions-$name.json" >"$folder/changed" && mv "$folder/changed" "$folder/revisions-$name.json"
    jq '.properties.latestRevisionName = "new"' "$folder/app-$name.json" >"$folder/changed" && mv "$folder/changed" "$folder/app-$name.json" ;;
  "rest --method post "*) ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"#;

struct Azure(TempDir);

impl Azure {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let azure = Self(folder);
        let program = azure.folder().join("az");
        fs::write(&program, AZ).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, newest, ready) in [("ca-download", "d-2", "d-2"), ("ca-upload", "u-2", "u-1")] {
            let stage = name.trim_start_matches("ca-");
            let environment = json!([
                {"name": "LOG_LEVEL", "value": "INFO"}, {"name": "AZURE_CLIENT_ID", "value": name}, {"name": "HIDDEN", "secretRef": "x"},
            ]);
            azure.write(
                &format!("app-{name}.json"),
                &json!({
                    "name": name, "id": format!("/subscriptions/s/{name}"), "tags": {"stage": stage},
                    "properties": {
                        "latestRevisionName": newest, "latestReadyRevisionName": ready,
                        "template": {"containers": [{"image": format!("r/{stage}:2"), "env": environment}]},
                    },
                }),
            );
            let revision = |tag: u8, health: &str| {
                json!({
                    "name": format!("{}-{tag}", &stage[..1]),
                    "properties": {
                        "createdTime": format!("2026-01-0{tag}"), "provisioningState": "Provisioned", "healthState": health,
                        "template": {"revisionSuffix": tag.to_string(), "containers": [{"image": format!("r/{stage}:{tag}")}], "scale": {"minReplicas": tag}},
                    },
                })
            };
            let health = if newest == ready { "Healthy" } else { "Unhealthy" };
            azure.write(
                &format!("revisions-{name}.json"),
                &json!([revision(1, "Healthy"), revision(2, health)]),
            );
        }
        azure.write("app-other.json", &json!({"name": "other", "tags": null}));
        azure
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.folder().join(name), value.to_string()).unwrap();
    }

    /// Adds the console, which runs image 2 and ran image 1 before.
    fn add_console(&self) {
        let environment =
            json!([{"name": "LOG_LEVEL", "value": "INFO"}, {"name": "CONSOLE_SIGN_IN", "value": "entra"}]);
        let container = |tag: u8| json!([{"image": format!("r/pipeline:{tag}"), "env": environment}]);
        self.write(
            "app-ca-console.json",
            &json!({
                "name": "ca-console", "id": "/subscriptions/s/ca-console", "tags": {"app": "console"},
                "properties": {
                    "latestRevisionName": "c-2", "latestReadyRevisionName": "c-2", "template": {"containers": container(2)},
                },
            }),
        );
        let revisions = [1, 2].map(|tag| {
            json!({
                "name": format!("c-{tag}"),
                "properties": {
                    "createdTime": format!("2026-01-0{tag}"), "provisioningState": "Provisioned", "healthState": "Healthy",
                    "template": {"containers": container(tag)},
                },
            })
        });
        self.write("revisions-ca-console.json", &json!(revisions));
    }

    fn saved(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.folder().join("former.json")).unwrap()).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn patches(&self) -> usize {
        self.calls()
            .iter()
            .filter(|call| call.starts_with("rest --method patch"))
            .count()
    }

    fn rollout(&self, arguments: &[&str]) -> Output {
        let search = format!("{}:{}", self.folder().display(), std::env::var("PATH").unwrap());
        Command::new(path("infra/rollout"))
            .args(arguments)
            .current_dir(self.folder())
            .env("PATH", search)
            .env("ROLLOUT_PAUSE_SECONDS", "0.05")
            .env("ROLLOUT_LIMIT_SECONDS", "1")
            .output()
            .unwrap()
    }
}

fn output_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn save_stores_the_latest_ready_revision() {
    let azure = Azure::new();
    let output = azure.rollout(&["save", GROUP, "former.json"]);
    assert!(output.status.success(), "{}", output_text(&output));
    let saved = azure.saved();
    let revisions: Vec<_> = saved.as_array().unwrap().iter().map(|app| &app["revision"]).collect();
    assert_eq!(revisions, ["d-2", "u-1"]);
}

#[test]
fn save_with_a_tag_stores_the_revision_of_that_image() {
    let azure = Azure::new();
    assert!(azure.rollout(&["save", GROUP, "former.json", "1"]).status.success());
    assert_eq!(azure.saved()[0]["template"]["containers"][0]["image"], "r/download:1");
    let output = azure.rollout(&["save", GROUP, "former.json", "0.9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output_text(&output).contains("no revision with images of 0.9 is left"),
        "{}",
        output_text(&output)
    );
}

#[test]
fn save_skips_an_app_that_was_never_ready() {
    let azure = Azure::new();
    let mut app: Value =
        serde_json::from_str(&fs::read_to_string(azure.folder().join("app-ca-upload.json")).unwrap()).unwrap();
    app["properties"]["latestReadyRevisionName"] = Value::Null;
    azure.write("app-ca-upload.json", &app);
    let output = azure.rollout(&["save", GROUP, "former.json"]);
    assert!(
        output.status.success() && output_text(&output).contains("ca-upload: nothing"),
        "{}",
        output_text(&output)
    );
    assert_eq!(azure.saved().as_array().unwrap().len(), 1);
}

#[test]
fn without_a_login_every_command_fails_and_nothing_is_saved() {
    let azure = Azure::new();
    fs::write(azure.folder().join("broken"), "").unwrap();
    for arguments in [
        &["save", GROUP, "former.json"][..],
        &["wait", GROUP, "2"],
        &["settings", GROUP],
    ] {
        let output = azure.rollout(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", output_text(&output));
    }
    assert!(!azure.folder().join("former.json").exists());
}

#[test]
fn restore_changes_only_apps_that_run_another_revision() {
    let azure = Azure::new();
    azure.rollout(&["save", GROUP, "former.json"]);
    let output = azure.rollout(&["restore", GROUP, "former.json"]);
    assert!(output.status.success(), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("ca-download: runs it already"),
        "{}",
        output_text(&output)
    );
    assert!(
        output_text(&output).contains("ca-upload: ok new, r/upload:1"),
        "{}",
        output_text(&output)
    );
    assert_eq!(azure.patches(), 1);
    let calls = azure.calls();
    let patch = calls.iter().find(|call| call.contains("--method patch")).unwrap();
    // The whole template, with a new revision name.
    assert!(
        patch.contains(r#"{"properties":{"template":{"revisionSuffix":"","#),
        "{patch}"
    );
    assert!(patch.contains(r#""scale":{"minReplicas":1}"#), "{patch}");
    assert!(patch.contains("/subscriptions/s/ca-upload?api-version="), "{patch}");
}

#[test]
fn restore_fails_if_a_revision_does_not_become_healthy() {
    let azure = Azure::new();
    azure.rollout(&["save", GROUP, "former.json", "1"]);
    fs::write(azure.folder().join("new-revision-is"), "Unhealthy").unwrap();
    let output = azure.rollout(&["restore", GROUP, "former.json"]);
    assert_eq!(output.status.code(), Some(1));
    // The second app is restored although the first one failed.
    assert_eq!(azure.patches(), 2);
    assert!(
        output_text(&output).contains("ca-upload: failed new"),
        "{}",
        output_text(&output)
    );
}

#[test]
fn wait_reports_every_app_and_fails_if_one_is_unhealthy() {
    let azure = Azure::new();
    let output = azure.rollout(&["wait", GROUP, "2"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = output_text(&output);
    assert!(
        printed.contains("ca-download: ok d-2") && printed.contains("ca-upload: failed u-2"),
        "{printed}"
    );
    let output = azure.rollout(&["wait", GROUP, "3"]);
    assert_eq!(output.status.code(), Some(1), "no app runs this image");
}

#[test]
fn settings_omit_identities_and_secrets() {
    let azure = Azure::new();
    let output = azure.rollout(&["settings", GROUP]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "LOG_LEVEL='INFO'\n");
}

#[test]
fn stop_and_start_take_the_name_of_a_stage() {
    let azure = Azure::new();
    for verb in ["stop", "start"] {
        assert!(azure.rollout(&[verb, GROUP, "upload"]).status.success());
        let prefix = format!("rest --method post --url /subscriptions/s/ca-upload/{verb}?api-version=");
        assert!(azure.calls().iter().any(|call| call.starts_with(&prefix)), "{verb}");
    }
    let output = azure.rollout(&["stop", GROUP, "uploads"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output_text(&output).contains("there are: download upload"),
        "{}",
        output_text(&output)
    );
}

/// It runs the image of the same tag. Its sign-in is of the app alone: nobody's `.env` gets it.
#[test]
fn the_console_is_rolled_out_and_back_with_the_stages() {
    let azure = Azure::new();
    azure.add_console();
    assert!(output_text(&azure.rollout(&["wait", GROUP, "2"])).contains("ca-console: ok c-2"));
    assert!(azure.rollout(&["save", GROUP, "former.json", "1"]).status.success());
    let output = azure.rollout(&["restore", GROUP, "former.json"]);
    assert!(
        output_text(&output).contains("ca-console: ok new, r/pipeline:1"),
        "{}",
        output_text(&output)
    );
    // It may be newer than what the stages go back to.
    let mut newer: Value =
        serde_json::from_str(&fs::read_to_string(azure.folder().join("revisions-ca-console.json")).unwrap()).unwrap();
    newer.as_array_mut().unwrap().remove(0);
    newer.as_array_mut().unwrap().pop();
    azure.write("revisions-ca-console.json", &newer);
    let output = azure.rollout(&["save", GROUP, "older.json", "1"]);
    assert!(
        output.status.success() && output_text(&output).contains("ca-console: nothing"),
        "{}",
        output_text(&output)
    );
    assert!(azure.rollout(&["stop", GROUP, "console"]).status.success());
    let stop = "rest --method post --url /subscriptions/s/ca-console/stop?api-version=";
    assert!(azure.calls().iter().any(|call| call.starts_with(stop)));
    let output = azure.rollout(&["settings", GROUP]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "LOG_LEVEL='INFO'\n");
}

#[test]
fn wrong_arguments_exit_with_2_and_print_the_usage() {
    let azure = Azure::new();
    for arguments in [
        &[][..],
        &["save"],
        &["save", GROUP],
        &["erase", GROUP],
        &["wait", GROUP],
    ] {
        let output = azure.rollout(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output_text(&output).contains("usage: infra/rollout restore GROUP FILE"),
            "{arguments:?}"
        );
    }
    assert!(azure.calls().is_empty());
}
