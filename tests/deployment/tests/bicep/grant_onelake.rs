//! `grant-onelake.sh`, run with a fake `az` that emulates the Fabric API.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::cli::templates;

const WORKSPACE: &str = "11111111-1111-4111-8111-111111111111";
const FIRST: &str = "22222222-2222-4222-8222-222222222222";
const SECOND: &str = "33333333-3333-4333-8333-333333333333";

/// Creates an `az` that appends its arguments to the file `asked`, one line per call, and then runs `behaviour` (shell).
fn fake_az(folder: &Path, behaviour: &str) {
    let program = folder.join("az");
    let script = format!("#!/bin/sh\necho \"$*\" >>\"$(dirname \"$0\")/asked\"\n{behaviour}\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn grant(folder: &Path, arguments: &[&str]) -> Output {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    Command::new(templates().join("grant-onelake.sh"))
        .args(arguments)
        .env("PATH", path)
        .env("GRANT_WAIT_SECONDS", "0")
        .env("GRANT_ATTEMPTS", "3")
        .output()
        .unwrap()
}

fn asked(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("asked")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFLICT: &str = r#"
case "$*" in
  *"--method post"*) echo 'ERROR: Conflict({"errorCode":"PrincipalAlreadyHasWorkspaceRolePermissions"})' >&2; exit 1 ;;
"#;

#[test]
fn each_identity_becomes_a_contributor() {
    let folder = tempfile::tempdir().unwrap();
    fake_az(folder.path(), "exit 0");
    let output = grant(folder.path(), &[WORKSPACE, FIRST, SECOND]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output), format!("{FIRST}: Contributor\n{SECOND}: Contributor\n"));
    let asked = asked(folder.path());
    assert_eq!(asked.len(), 2);
    for (call, principal) in asked.iter().zip([FIRST, SECOND]) {
        assert!(call.contains("--method post"), "{call}");
        assert!(call.contains("--resource https://api.fabric.microsoft.com"), "{call}");
        assert!(
            call.contains(&format!("/v1/workspaces/{WORKSPACE}/roleAssignments")),
            "{call}"
        );
        let body = format!(r#"{{"principal":{{"id":"{principal}","type":"ServicePrincipal"}},"role":"Contributor"}}"#);
        assert!(call.contains(&body), "{call}");
    }
}

#[test]
fn an_equal_or_higher_role_is_kept() {
    for role in ["Contributor", "Member", "Admin"] {
        let folder = tempfile::tempdir().unwrap();
        fake_az(
            folder.path(),
            &format!("{CONFLICT}\n*\"--method get\"*) echo {role} ;;\n*) exit 9 ;;\nesac"),
        );
        let output = grant(folder.path(), &[WORKSPACE, FIRST]);
        assert!(output.status.success(), "{}", err(&output));
        assert_eq!(out(&output), format!("{FIRST}: {role} already\n"));
    }
}

#[test]
fn a_viewer_becomes_a_contributor() {
    let folder = tempfile::tempdir().unwrap();
    fake_az(
        folder.path(),
        &format!("{CONFLICT}\n*\"--method get\"*) echo Viewer ;;\n*\"--method patch\"*) exit 0 ;;\n*) exit 9 ;;\nesac"),
    );
    let output = grant(folder.path(), &[WORKSPACE, FIRST]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output), format!("{FIRST}: Contributor, was Viewer\n"));
    assert!(asked(folder.path())[2].contains(&format!("/roleAssignments/{FIRST}")));
}

#[test]
fn an_identity_that_has_not_propagated_is_retried() {
    let unknown = r#"echo 'Bad Request({"errorCode":"PrincipalNotFound"})' >&2; exit 1"#;
    let posts = |folder: &Path| {
        asked(folder)
            .iter()
            .filter(|call| call.contains("--method post"))
            .count()
    };

    let folder = tempfile::tempdir().unwrap();
    // The first two attempts fail; each of them also reads the current role.
    fake_az(
        folder.path(),
        &format!(r#"if [ "$(wc -l <"$(dirname "$0")/asked")" -lt 5 ]; then {unknown}; fi"#),
    );
    let output = grant(folder.path(), &[WORKSPACE, FIRST]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(posts(folder.path()), 3);

    let folder = tempfile::tempdir().unwrap();
    fake_az(folder.path(), unknown);
    assert_eq!(grant(folder.path(), &[WORKSPACE, FIRST]).status.code(), Some(1));
    assert_eq!(posts(folder.path()), 3, "the number of attempts is limited");
}

#[test]
fn a_refusal_names_the_required_role_and_the_remaining_identities_are_granted() {
    let folder = tempfile::tempdir().unwrap();
    fake_az(
        folder.path(),
        &format!(
            "case \"$*\" in *{FIRST}*) echo 'Forbidden({{\"errorCode\":\"InsufficientPrivileges\"}})' >&2; exit 1 ;; esac"
        ),
    );
    let output = grant(folder.path(), &[WORKSPACE, FIRST, SECOND]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("as an admin of workspace"), "{}", err(&output));
    assert_eq!(out(&output), format!("{SECOND}: Contributor\n"));
}

#[test]
fn an_argument_that_is_not_a_guid_is_rejected_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    fake_az(folder.path(), "exit 0");
    for arguments in [
        &[WORKSPACE][..],
        &[],
        &[WORKSPACE, "upload"],
        &["../x", FIRST],
        &[WORKSPACE, &format!("{FIRST}\"}}")],
    ] {
        let output = grant(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            err(&output).contains("usage: bicep/grant-onelake.sh WORKSPACE_ID OBJECT_ID..."),
            "{}",
            err(&output)
        );
    }
    assert!(asked(folder.path()).is_empty());
}
