//! Tests the Azure CLI with a script that answers like `az account get-access-token`.
//!
//! <https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// Puts an `az` into `folder`.
pub(super) fn install(folder: &Path, script: &str) {
    let draft = folder.join("az.sh");
    std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).unwrap();
    // Another process copies it: a child process that another test starts meanwhile would inherit a file that this process
    // has open for writing, and the script could not be run ("text file busy").
    let copied = Command::new("cp").arg("-p").arg(&draft).arg(folder.join("az")).status();
    assert!(copied.unwrap().success());
}

/// Returns a folder with an `az`, and the identity that uses it.
fn login(script: &str, tenant: Option<&str>, limits: TimeLimits) -> (TempDir, Identity) {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), script);
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut variables = vec![("PATH", path.as_str())];
    variables.extend(tenant.map(|tenant| ("AZURE_TENANT_ID", tenant)));
    let identity = Identity::with_limits(&settings(&variables), limits).unwrap();
    (folder, identity)
}

/// Counts its runs, and rejects the arguments that `az` would reject.
const LOGGED_IN: &str = r#"
echo "$*" >> "$(dirname "$0")/runs"
[ "$1 $2 $3 $4" = "account get-access-token -o json" ] || { echo "ERROR: unrecognized arguments: $*" >&2; exit 2; }
[ "$5" = --scope ] || { echo "ERROR: unrecognized arguments: $*" >&2; exit 2; }
cat <<JSON
{
  "accessToken": "cli-token-for-$6-$8",
  "expiresOn": "$(date -d '+3600 seconds' '+%Y-%m-%d %H:%M:%S.000000')",
  "expires_on": $(( $(date +%s) + 3600 )),
  "subscription": "0b1f6471-1bf0-4dda-aec3-cb9272f09590",
  "tenant": "7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11",
  "tokenType": "Bearer"
}
JSON"#;

#[tokio::test]
async fn az_runs_once_for_many_callers() {
    let (folder, identity) = login(LOGGED_IN, None, LONG_TIMEOUTS);
    assert_eq!(identity.describe(), "login of the Azure CLI");
    let tokens = futures::future::join_all((0..20).map(|_| identity.token(STORAGE))).await;
    for token in tokens {
        let token = token.unwrap();
        assert_eq!(text(&token), format!("cli-token-for-{STORAGE}-"));
        assert!(lives_about(&token, 3600));
    }
    let runs = std::fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs, format!("account get-access-token -o json --scope {STORAGE}\n"));
}

#[tokio::test]
async fn a_configured_tenant_is_passed_to_az() {
    let (_folder, identity) = login(LOGGED_IN, Some(TENANT), LONG_TIMEOUTS);
    let token = identity.token(EVENT_HUBS).await.unwrap();
    assert_eq!(text(&token), format!("cli-token-for-{EVENT_HUBS}-{TENANT}"));
}

#[tokio::test]
async fn errors_of_az_say_what_to_do() {
    let no_login = "no valid login: run `az login`";
    let no_token = "its answer holds no token";
    for (script, expected) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            no_login,
        ),
        (
            "echo 'ERROR: AADSTS700082: The refresh token has expired.' >&2; exit 1",
            no_login,
        ),
        (
            "echo 'ERROR: AADSTS70043: The refresh token has expired.' >&2; exit 1",
            no_login,
        ),
        (
            "echo 'ERROR: An unexpected error.' >&2; exit 1",
            "failed: ERROR: An unexpected error.",
        ),
        ("exit 3", "it ended with code 3"),
        ("exit 127", "`az` is not on PATH"),
        (
            "echo '{\"accessToken\":\"planted\",\"tokenType\":\"Bearer\"}'",
            "Azure CLI 2.54 or newer is needed",
        ),
        ("echo 'Welcome to the Azure CLI! planted'", no_token),
        ("head -c 1000000 /dev/zero", no_token),
    ] {
        let (_folder, identity) = login(script, None, LONG_TIMEOUTS);
        let error = identity.token(STORAGE).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{script}: {error}");
        assert!(!error.to_string().contains("planted"), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_az_that_hangs_is_killed_with_its_child_processes() {
    // Like `az`: a script that runs Python.
    let script = "sh -c 'echo $$ > \"$0\"; sleep 600' \"$(dirname \"$0\")/pid\"; true";
    let (folder, identity) = login(script, None, SHORT_TIMEOUTS);
    let error = first_failure(&identity).await;
    let line = error.to_string();
    assert!(error.is_transient() && line.contains("did not end within"), "{line}");
    let file = folder.path().join("pid");
    let is_running = || {
        let pid = std::fs::read_to_string(&file).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // A zombie has already exited.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    // On a busy machine the first processes may be killed before they have written their id.
    let gone = async {
        while !file.exists() || is_running() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), gone).await;
    ended.expect("it is ended");
}
