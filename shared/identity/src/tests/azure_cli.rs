//! Tests the Azure CLI with a script that answers like `az account get-access-token`.
//!
//! <https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::*;

/// Puts an `az` into `folder`.
pub(super) fn install(folder: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let draft = folder.join("az.sh");
    std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).unwrap();
    // Another process copies it: a child process that another test starts meanwhile would inherit a file that this process
    // has open for writing, and the script could not be run ("text file busy").
    let copied = Command::new("cp")
        .arg("-p")
        .arg(&draft)
        .arg(folder.join("az"))
        .status()
        .unwrap();
    assert!(copied.success());
}

fn login(folder: &Path, tenant: Option<&str>, limits: TimeLimits) -> Identity {
    let mut path = OsString::from(folder);
    path.push(":/usr/bin:/bin");
    let path = path.into_string().unwrap();
    let mut variables = vec![("PATH", path.as_str())];
    variables.extend(tenant.map(|tenant| ("AZURE_TENANT_ID", tenant)));
    Identity::with_limits(&settings(&variables), limits).unwrap()
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
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), LOGGED_IN);
    let identity = login(folder.path(), None, LONG_TIMEOUTS);
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
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), LOGGED_IN);
    let identity = login(folder.path(), Some(TENANT), LONG_TIMEOUTS);
    assert_eq!(
        text(&identity.token(EVENT_HUBS).await.unwrap()),
        format!("cli-token-for-{EVENT_HUBS}-{TENANT}")
    );
}

#[tokio::test]
async fn errors_of_az_say_what_to_do() {
    for (script, expected) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "no valid login: run `az login`",
        ),
        (
            "echo 'ERROR: AADSTS700082: The refresh token has expired due to inactivity.' >&2; exit 1",
            "no valid login: run `az login`",
        ),
        (
            "echo 'ERROR: AADSTS70043: The refresh token has expired.' >&2; exit 1",
            "no valid login: run `az login`",
        ),
        (
            "echo 'ERROR: The command failed with an unexpected error.' >&2; exit 1",
            "failed: ERROR: The command failed",
        ),
        ("exit 3", "it ended with code 3"),
        ("exit 127", "`az` is not on PATH"),
        (
            "echo '{\"accessToken\":\"planted\",\"tokenType\":\"Bearer\"}'",
            "Azure CLI 2.54 or newer is needed",
        ),
        ("echo 'Welcome to the Azure CLI! planted'", "its answer holds no token"),
        ("head -c 1000000 /dev/zero", "its answer holds no token"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), script);
        let identity = login(folder.path(), None, LONG_TIMEOUTS);
        let error = identity.token(STORAGE).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{script}: {error}");
        assert!(!error.to_string().contains("planted"), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_az_that_hangs_is_killed_with_its_child_processes() {
    let folder = tempfile::tempdir().unwrap();
    // Like `az`: a script that runs Python.
    install(
        folder.path(),
        "sh -c 'echo $$ > \"$0\"; sleep 600' \"$(dirname \"$0\")/pid\"; true",
    );
    let identity = login(folder.path(), None, SHORT_TIMEOUTS);
    let error = first_failure(&identity).await;
    assert!(
        error.is_transient() && error.to_string().contains("did not end within"),
        "{error}"
    );
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
    tokio::time::timeout(Duration::from_secs(60), gone)
        .await
        .expect("it is ended");
}
