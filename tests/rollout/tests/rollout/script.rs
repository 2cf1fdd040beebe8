//! `infra/rollout`, with an `az` that answers as Azure does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::path;

const GROUP: &str = "rg-xact-test";

/// Two stages: download, which runs image 2 and ran 1 before, and upload, of which 2 never became ready. A third app in
/// the group is somebody else's.
///
/// Patched, an app has a new revision with what it was sent.
const AZ: &str = r#"#!/bin/sh
folder=$(dirname "$0")
echo "$*" >>"$folder/asked"
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

    fn saved(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.folder().join("former.json")).unwrap()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.folder().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    fn patches(&self) -> usize {
        self.asked()
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

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn what_is_saved_is_what_was_ready_and_not_what_failed() {
    let azure = Azure::new();
    let output = azure.rollout(&["save", GROUP, "former.json"]);
    assert!(output.status.success(), "{}", said(&output));
    let saved = azure.saved();
    let revisions: Vec<_> = saved.as_array().unwrap().iter().map(|app| &app["revision"]).collect();
    assert_eq!(revisions, ["d-2", "u-1"]);
}

#[test]
fn what_ran_with_a_tag_can_be_saved_as_long_as_it_is_kept() {
    let azure = Azure::new();
    assert!(azure.rollout(&["save", GROUP, "former.json", "1"]).status.success());
    assert_eq!(azure.saved()[0]["template"]["containers"][0]["image"], "r/download:1");
    let output = azure.rollout(&["save", GROUP, "former.json", "0.9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no revision with images of 0.9 is left"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_app_that_was_never_ready_does_not_stop_the_next_rollout() {
    let azure = Azure::new();
    let mut app: Value =
        serde_json::from_str(&fs::read_to_string(azure.folder().join("app-ca-upload.json")).unwrap()).unwrap();
    app["properties"]["latestReadyRevisionName"] = Value::Null;
    azure.write("app-ca-upload.json", &app);
    let output = azure.rollout(&["save", GROUP, "former.json"]);
    assert!(
        output.status.success() && said(&output).contains("ca-upload: nothing"),
        "{}",
        said(&output)
    );
    assert_eq!(azure.saved().as_array().unwrap().len(), 1);
}

#[test]
fn without_a_login_nothing_is_saved() {
    let azure = Azure::new();
    fs::write(azure.folder().join("broken"), "").unwrap();
    for arguments in [
        &["save", GROUP, "former.json"][..],
        &["wait", GROUP, "2"],
        &["settings", GROUP],
    ] {
        let output = azure.rollout(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
    }
    assert!(!azure.folder().join("former.json").exists());
}

#[test]
fn what_was_saved_runs_again_and_what_runs_is_left_alone() {
    let azure = Azure::new();
    azure.rollout(&["save", GROUP, "former.json"]);
    let output = azure.rollout(&["restore", GROUP, "former.json"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("ca-download: runs it already"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("ca-upload: ok new, r/upload:1"),
        "{}",
        said(&output)
    );
    assert_eq!(azure.patches(), 1);
    let asked = azure.asked();
    let patch = asked.iter().find(|call| call.contains("--method patch")).unwrap();
    // All of the template, under a name that is not taken.
    assert!(
        patch.contains(r#"{"properties":{"template":{"revisionSuffix":"","#),
        "{patch}"
    );
    assert!(patch.contains(r#""scale":{"minReplicas":1}"#), "{patch}");
    assert!(patch.contains("/subscriptions/s/ca-upload?api-version="), "{patch}");
}

#[test]
fn a_rollback_that_does_not_become_well_is_told() {
    let azure = Azure::new();
    azure.rollout(&["save", GROUP, "former.json", "1"]);
    fs::write(azure.folder().join("new-revision-is"), "Unhealthy").unwrap();
    let output = azure.rollout(&["restore", GROUP, "former.json"]);
    assert_eq!(output.status.code(), Some(1));
    // The second app is tried all the same.
    assert_eq!(azure.patches(), 2);
    assert!(said(&output).contains("ca-upload: failed new"), "{}", said(&output));
}

#[test]
fn a_rollout_is_waited_for_and_one_that_fails_is_told() {
    let azure = Azure::new();
    let output = azure.rollout(&["wait", GROUP, "2"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("ca-download: ok d-2") && said.contains("ca-upload: failed u-2"),
        "{said}"
    );
    let output = azure.rollout(&["wait", GROUP, "3"]);
    assert_eq!(output.status.code(), Some(1), "nothing runs it");
}

#[test]
fn the_settings_are_those_that_are_true_elsewhere_as_well() {
    let azure = Azure::new();
    let output = azure.rollout(&["settings", GROUP]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "LOG_LEVEL='INFO'\n");
}

#[test]
fn a_stage_is_stopped_and_started_by_its_name() {
    let azure = Azure::new();
    for verb in ["stop", "start"] {
        assert!(azure.rollout(&[verb, GROUP, "upload"]).status.success());
        let call = format!("rest --method post --url /subscriptions/s/ca-upload/{verb}?api-version=");
        assert!(azure.asked().iter().any(|asked| asked.starts_with(&call)), "{verb}");
    }
    let output = azure.rollout(&["stop", GROUP, "uploads"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("there are: download upload"),
        "{}",
        said(&output)
    );
}

#[test]
fn wrong_arguments_are_told_apart_from_failure() {
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
            said(&output).contains("usage: infra/rollout restore GROUP FILE"),
            "{arguments:?}"
        );
    }
    assert!(azure.asked().is_empty());
}
