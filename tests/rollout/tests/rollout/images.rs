//! `infra/images`, `infra/azd`, `infra/preflight` and `infra/operate`, run with fakes of `az` and `azd`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::{path, stages};

const GROUP: &str = "rg-xact-test";

/// A registry `crtest`; the tags of a repository are in a file of its name.
const AZ: &str = r#"#!/bin/sh
folder=$(dirname "$0")
echo "az $*" >>"$folder/calls"
case "$*" in
  "provider list "*) cat "$folder/providers" ;;
  "keyvault list-deleted "*) cat "$folder/deleted-vaults" ;;
  "keyvault list "*) cat "$folder/vaults" ;;
  "role assignment list "*) cat "$folder/orphans" ;;
  "rest "*/lakehouses/*) cat "$folder/lakehouse" ;;
  "account show "* | "acr login "* | "acr import "* | "acr build "* | "rest "* | "containerapp "*) echo '[]' ;;
  "acr list "*) cat "$folder/registries" ;;
  "acr repository show-tags "*) cat "$folder/$(echo "$*" | sed -E 's|.*xact-pipeline/([a-z-]*).*|\1|')" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"#;
const AZD: &str = "#!/bin/sh\necho \"azd $*\" >>\"$(dirname \"$0\")/calls\"\n";

/// A subscription in which a deployment finds nothing in its way.
const READY: [(&str, &str); 5] = [
    (
        "providers",
        "Microsoft.App\nMicrosoft.Authorization\nMicrosoft.ContainerRegistry\nMicrosoft.EventHub\nmicrosoft.insights\n\
         Microsoft.KeyVault\nMicrosoft.ManagedIdentity\nMicrosoft.Network\nMicrosoft.OperationalInsights\nMicrosoft.Storage\n",
    ),
    ("deleted-vaults", ""),
    ("vaults", ""),
    ("orphans", ""),
    ("lakehouse", r#"{"properties":{"defaultSchema":"dbo"}}"#),
];

struct Registry(TempDir);

impl Registry {
    fn new() -> Self {
        let registry = Self(tempfile::tempdir().unwrap());
        for (name, program) in [("az", AZ), ("azd", AZD), ("docker", AZD)] {
            registry.write(name, &program.replace("azd $", &format!("{name} $")));
            let file = registry.folder().join(name);
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        registry.write("registries", "crtest\n");
        for (file, content) in READY {
            registry.write(file, content);
        }
        registry
    }

    /// A registry with the images of a tag.
    fn with_images(tag: &str) -> Self {
        let registry = Self::new();
        for name in names() {
            registry.write(name, &format!("0.1.0\n{tag}\n"));
        }
        registry
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder().join(name), content).unwrap();
    }

    fn run(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let search = format!("{}:{}", self.folder().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(path(script));
        command
            .args(arguments)
            .env("PATH", search)
            .envs(variables.iter().copied());
        command.env("ROLLOUT_LIMIT_SECONDS", "0").output().unwrap()
    }

    fn calls(&self, start: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.folder().join("calls")).unwrap_or_default();
        calls
            .lines()
            .filter(|call| call.starts_with(start))
            .map(str::to_owned)
            .collect()
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    stages().into_iter().chain(["pipeline"])
}

fn output_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_way_brings_every_image_and_builds_for_linux_amd64() {
    for (arguments, command) in [
        (
            &["import", GROUP, "1", "ghcr.io/owner/name"][..],
            "az acr import --name crtest --source ghcr.io/owner/name/",
        ),
        (
            &["build", GROUP, "1"],
            "az acr build --registry crtest --image xact-pipeline/",
        ),
        (&["push", GROUP, "1"], "docker push crtest.azurecr.io/xact-pipeline/"),
    ] {
        let registry = Registry::new();
        let output = registry.run("infra/images", arguments, &[]);
        assert!(output.status.success(), "{}", output_text(&output));
        let calls = registry.calls(command);
        assert_eq!(calls.len(), names().count(), "{calls:#?}");
        for (call, name) in calls.iter().zip(names()) {
            assert!(call.contains(&format!("/{name}:1")), "{call}");
        }
        // Container Apps run no other platform.
        let builds = [registry.calls("az acr build"), registry.calls("docker build")].concat();
        assert_eq!(builds.is_empty(), arguments[0] == "import");
        assert!(
            builds.iter().all(|call| call.contains(" --platform linux/amd64 ")),
            "{builds:#?}"
        );
    }
}

#[test]
fn what_is_there_with_that_tag_is_left_alone() {
    let registry = Registry::with_images("1");
    registry.write("upload", "11\n0.1\n");
    let output = registry.run("infra/images", &["missing", GROUP, "1"], &[]);
    assert_eq!(output_text(&output), "upload\n");
    assert!(
        registry
            .run("infra/images", &["build", GROUP, "1"], &[])
            .status
            .success()
    );
    let builds = registry.calls("az acr build");
    assert!(builds.len() == 1 && builds[0].contains("HANDLER=upload"), "{builds:#?}");
}

#[test]
fn without_a_registry_nothing_is_built_and_the_next_step_is_named() {
    let registry = Registry::new();
    registry.write("registries", "");
    let output = registry.run("infra/images", &["build", GROUP, "1"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = output_text(&output);
    assert!(
        printed.contains("deploy first, with XACT_DEPLOY_APPS=false"),
        "{printed}"
    );
    for arguments in [
        &[][..],
        &["import", GROUP, "1"],
        &["build", GROUP],
        &["erase", GROUP, "1"],
    ] {
        let output = registry.run("infra/images", arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output_text(&output).contains("usage: infra/images build GROUP TAG"),
            "{arguments:?}"
        );
    }
}

const VARIABLES: [(&str, &str); 5] = [
    ("XACT_FABRIC_WORKSPACE_ID", "w"),
    ("XACT_FABRIC_LAKEHOUSE_ID", "l"),
    ("XACT_IMAGE_TAG", "1"),
    ("AZURE_RESOURCE_GROUP", GROUP),
    (
        "grantOneLake",
        r#"["bicep/grant-onelake.sh 00000000-0000-0000-0000-000000000001 00000000-0000-0000-0000-000000000002"]"#,
    ),
];

#[test]
fn azd_deploys_the_apps_once_their_images_are_there() {
    for (registry, apps) in [(Registry::new(), "false"), (Registry::with_images("1"), "true")] {
        let output = registry.run("infra/azd", &["preprovision"], &VARIABLES);
        assert!(output.status.success(), "{}", output_text(&output));
        assert_eq!(registry.calls("azd "), [format!("azd env set XACT_DEPLOY_APPS {apps}")]);
    }
    // In the first run there is no group yet.
    let registry = Registry::new();
    assert!(
        registry
            .run("infra/azd", &["preprovision"], &VARIABLES[..3])
            .status
            .success()
    );
    assert_eq!(registry.calls("azd "), ["azd env set XACT_DEPLOY_APPS false"]);
}

#[test]
fn after_the_deployment_azd_gets_images_and_access_to_onelake() {
    for (source, command) in [(None, "az acr build"), (Some("ghcr.io/owner/name"), "az acr import")] {
        let registry = Registry::new();
        let variables: Vec<_> = VARIABLES
            .into_iter()
            .chain(source.map(|source| ("XACT_IMAGE_SOURCE", source)))
            .collect();
        let output = registry.run("infra/azd", &["postprovision"], &variables);
        assert!(output.status.success(), "{}", output_text(&output));
        assert_eq!(registry.calls(command).len(), names().count());
        let grants = registry.calls("az rest ");
        let is_grant = |call: &String| call.contains("workspaces/00000000-0000-0000-0000-000000000001/roleAssignments");
        assert!(!grants.is_empty() && grants.iter().all(is_grant), "{grants:#?}");
    }
}

#[test]
fn azd_names_the_value_that_is_not_set() {
    let registry = Registry::new();
    for (left_out, (name, _)) in VARIABLES[..3].iter().enumerate() {
        let mut variables = VARIABLES.to_vec();
        variables.remove(left_out);
        let output = registry.run("infra/azd", &["preprovision"], &variables);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            output_text(&output).contains(&format!("azd env set {name}")),
            "{}",
            output_text(&output)
        );
    }
    assert_eq!(registry.run("infra/azd", &[], &VARIABLES).status.code(), Some(2));
}

#[test]
fn azure_yaml_deploys_development_in_two_steps_with_the_hooks() {
    let file = crate::text("azure.yaml");
    assert!(file.contains("\n  path: bicep\n  module: main.dev\n") && path("bicep/main.dev.bicepparam").exists());
    assert_eq!(file.matches("      - azd: provision\n").count(), 2);
    for hook in ["preprovision", "postprovision"] {
        assert!(
            file.contains(&format!("  {hook}:\n    shell: sh\n    run: infra/azd {hook}\n")),
            "{hook}"
        );
    }
}

#[test]
fn the_scripts_run_with_the_bash_of_macos() {
    // Features that Bash 3.2 does not have.
    const NEWER: [&str; 14] = [
        "local -A",
        "declare -A",
        "typeset -A",
        "local -n",
        "declare -n",
        "mapfile",
        "readarray",
        "coproc",
        "|&",
        "&>>",
        ",,}",
        "^^}",
        "EPOCH",
        "[-1]",
    ];
    for script in [
        "infra/rollout",
        "infra/images",
        "infra/azd",
        "infra/operate",
        "infra/preflight",
        "bicep/grant-onelake.sh",
    ] {
        let source = crate::text(script);
        for feature in NEWER {
            assert!(!source.contains(feature), "{script}: {feature}");
        }
    }
}

/// A group with a job; `status` has the status that its execution ends with, `template` what it was started with.
const AZ_OF_JOB: &str = r#"#!/bin/sh
folder=$(dirname "$0")
case "$*" in
  "containerapp job list "*) cat "$folder/jobs" ;;
  "containerapp job show "*) echo '{"containers":[{"name":"pipeline","image":"i:1","args":["check"],"env":[{"name":"A","value":"b"}]}]}' ;;
  "containerapp job start "*) cp "$(echo "$*" | sed -E 's|.*--yaml ([^ ]*).*|\1|')" "$folder/template"; echo caj-1 ;;
  "containerapp job execution show "*"--job-execution-name caj-1 "*) cat "$folder/status"; echo Succeeded >"$folder/status" ;;
  "containerapp job logs show "*"--execution caj-1 "*) cat "$folder/log" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"#;

#[test]
fn operate_runs_a_command_in_the_environment_and_prints_its_output() {
    let command = ["dlq", "list", "--reason", "a \"b\" $c", "--limit", "5"];
    let arguments = [&[GROUP][..], &command].concat();
    // The status first, whether the log can be read, and what is expected.
    for (status, log, code, printed) in [
        ("Running", Some("no dead letters\n"), 0, "no dead letters"),
        ("Failed", Some("the broker is away\n"), 1, "execution caj-1: Failed"),
        ("Succeeded", None, 0, "ContainerGroupName startswith \"caj-1\""),
    ] {
        let group = Registry::new();
        group.write("az", AZ_OF_JOB);
        group.write("jobs", "caj-xact-prod-operate\n");
        group.write("status", &format!("{status}\n"));
        if let Some(log) = log {
            group.write("log", log);
        }
        let output = group.run("infra/operate", &arguments, &[("OPERATE_INTERVAL_SECONDS", "0")]);
        let text = output_text(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(
            text.contains(printed) && text.contains(log.unwrap_or_default()),
            "{text}"
        );
        let template = fs::read_to_string(group.folder().join("template")).unwrap();
        let template: serde_json::Value = serde_json::from_str(&template).unwrap();
        let container = &template["containers"][0];
        assert_eq!(container["args"], serde_json::json!(command));
        assert_eq!(
            (&container["image"], &container["env"][0]["value"]),
            (&"i:1".into(), &"b".into())
        );
    }
}

#[test]
fn operate_without_a_job_or_a_command_says_what_to_do() {
    let group = Registry::new();
    group.write("az", AZ_OF_JOB);
    group.write("jobs", "");
    for (arguments, code, printed) in [
        (&[GROUP, "check"][..], 1, "deploy with operateJob = true"),
        (&[GROUP], 2, "usage: infra/operate GROUP COMMAND"),
        (&[], 2, "usage: infra/operate GROUP COMMAND"),
        (&["--help"], 2, "usage: infra/operate GROUP COMMAND"),
    ] {
        let output = group.run("infra/operate", arguments, &[]);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output_text(&output).contains(printed), "{}", output_text(&output));
    }
}

#[test]
fn preflight_names_what_is_in_the_way_of_a_deployment() {
    let fabric = [VARIABLES[0], VARIABLES[1]];
    let without_schemas = [VARIABLES[0], VARIABLES[1], ("XACT_FABRIC_SCHEMA", "")];
    // What differs from a subscription that is ready, the variables, the exit code, and what is printed.
    for (file, content, variables, code, printed) in [
        (
            "vaults",
            "",
            &fabric[..],
            0,
            "ok       the tables are where the lakehouse has them: Tables/dbo/",
        ),
        (
            "vaults",
            "kv-xact-dev-abcde\n",
            &fabric,
            0,
            "ok       vault kv-xact-dev-abcde is there",
        ),
        (
            "providers",
            "Microsoft.App\n",
            &fabric,
            1,
            "failed   resource provider Microsoft.EventHub is not registered: az provider register --namespace Microsoft.EventHub --wait",
        ),
        (
            "deleted-vaults",
            "kv-xact-dev-abcde\n",
            &fabric,
            1,
            "az keyvault recover --name kv-xact-dev-abcde",
        ),
        ("orphans", "/a/b\n", &fabric, 1, "az role assignment delete --ids /a/b"),
        (
            "lakehouse",
            r#"{"properties":{}}"#,
            &fabric,
            1,
            "export XACT_FABRIC_SCHEMA=,",
        ),
        (
            "lakehouse",
            r#"{"properties":{}}"#,
            &without_schemas,
            0,
            "has them: Tables/\n",
        ),
        (
            "vaults",
            "",
            &without_schemas,
            1,
            "the lakehouse has schemas: unset XACT_FABRIC_SCHEMA",
        ),
        (
            "vaults",
            "",
            &[],
            1,
            "XACT_FABRIC_WORKSPACE_ID and XACT_FABRIC_LAKEHOUSE_ID are not set",
        ),
    ] {
        let subscription = Registry::new();
        subscription.write(file, content);
        let output = subscription.run("infra/preflight", &[GROUP, "dev"], variables);
        let text = output_text(&output);
        assert_eq!(output.status.code(), Some(code), "{file}: {text}");
        assert!(text.contains(printed), "{file}: {text}");
    }
    // A login that may read nothing but its group is not kept from deploying.
    let group = Registry::new();
    for file in ["providers", "deleted-vaults", "orphans"] {
        fs::remove_file(group.folder().join(file)).unwrap();
    }
    let output = group.run("infra/preflight", &[GROUP, "dev"], &fabric);
    let text = output_text(&output);
    assert!(
        output.status.success() && text.matches("skipped ").count() == 3,
        "{text}"
    );
    // With azd, nothing is deployed.
    let subscription = Registry::new();
    subscription.write("deleted-vaults", "kv-xact-dev-abcde\n");
    let output = subscription.run("infra/azd", &["preprovision"], &VARIABLES);
    assert_eq!(output.status.code(), Some(1));
    assert!(subscription.calls("azd ").is_empty() && output_text(&output).contains("run azd up again"));
}
