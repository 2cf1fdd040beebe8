//! Tests each kind of identity against a local server, or a fake `az`, with the documented protocol.

mod azure_cli;
mod entra;
mod managed_identity;
mod secrets;
mod server;

use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;

use crate::credential::TimeLimits;
use crate::{Identity, IdentityError, IdentitySettings, Token, settings};

const TENANT: &str = "7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11";
const CLIENT: &str = "1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77";
const STORAGE: &str = "https://storage.azure.com/.default";
const EVENT_HUBS: &str = "https://evhns-xact.servicebus.windows.net/.default";

/// For answers that arrive, also on a machine under load.
const LONG_TIMEOUTS: TimeLimits = TimeLimits {
    connect: Duration::from_secs(30),
    answer: Duration::from_secs(60),
    cli: Duration::from_secs(60),
};
/// For answers that never arrive.
const SHORT_TIMEOUTS: TimeLimits = TimeLimits {
    connect: Duration::from_secs(2),
    answer: Duration::from_millis(500),
    cli: Duration::from_millis(500),
};

fn settings(variables: &[(&str, &str)]) -> IdentitySettings {
    let mut settings = IdentitySettings::default();
    for &(name, value) in variables {
        match name {
            "AZURE_TENANT_ID" => settings.tenant = Some(settings::tenant(value).unwrap()),
            "AZURE_CLIENT_ID" => settings.client = Some(settings::client_id(value).unwrap()),
            "AZURE_CLIENT_SECRET" => settings.secret = Some(settings::secret(value).unwrap()),
            "AZURE_FEDERATED_TOKEN_FILE" => settings.federated_token_file = Some(value.into()),
            "AZURE_AUTHORITY_HOST" => settings.authority = Some(settings::authority(value).unwrap()),
            "IDENTITY_ENDPOINT" => settings.endpoint = Some(settings::endpoint(value).unwrap()),
            "IDENTITY_HEADER" => settings.header = Some(settings::secret(value).unwrap()),
            "PATH" => settings.path = value.into(),
            other => panic!("{other}"),
        }
    }
    settings
}

/// Returns the first failure; a caller of `token` would wait for the next attempt.
async fn first_failure(identity: &Identity) -> IdentityError {
    loop {
        let _ = tokio::time::timeout(Duration::from_millis(10), identity.token(STORAGE)).await;
        if let Some(failure) = identity.status().into_iter().find_map(|scope| scope.failure) {
            return failure;
        }
    }
}

/// Runs an ignored test in a separate process with only these variables.
async fn alone(test: &str, variables: &[(&str, &str)]) -> Output {
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), child).await;
    let output = output.expect("it ends").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let has_passed = output.status.success() && printed.contains("1 passed");
    assert!(has_passed, "{printed}{errors}");
    output
}

fn text(token: &Token) -> &str {
    token.secret.expose_secret()
}

fn lives_about(token: &Token, seconds: u64) -> bool {
    let left = token.expires_at.duration_since(SystemTime::now()).unwrap().as_secs();
    (seconds.saturating_sub(60)..=seconds).contains(&left)
}

#[test]
fn the_order_is_service_principal_workload_identity_managed_identity_azure_cli() {
    let folder = tempfile::tempdir().unwrap();
    azure_cli::install(folder.path(), "exit 1");
    let path = ("PATH", folder.path().to_str().unwrap());
    let secret = ("AZURE_CLIENT_SECRET", "abc~8Q");
    let file = ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/token");
    let endpoint = ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token");
    let header = ("IDENTITY_HEADER", "853b9a84");
    let ids = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT)];
    let describe = |variables: &[(&str, &str)]| {
        let all: Vec<_> = variables.iter().chain(&ids).copied().collect();
        Identity::choose(&settings(&all)).map(|identity| identity.describe().to_owned())
    };
    let application = format!("{CLIENT} of tenant {TENANT}, by");
    let secret_first = format!("service principal {application} secret, at login.microsoftonline.com");
    assert_eq!(describe(&[secret, file, endpoint, header, path]), Ok(secret_first));
    let file_first =
        format!("workload identity {application} the token in /var/run/secrets/token, at login.microsoftonline.com");
    assert_eq!(describe(&[file, endpoint, header, path]), Ok(file_first));
    // These are not variables of the process; managed_identity tests those.
    let lines = describe(&[endpoint, header, path]).unwrap_err().to_string();
    assert!(lines.contains("take them out of .env"), "{lines}");
    let login = format!("login of the Azure CLI for tenant {TENANT}");
    assert_eq!(describe(&[path]), Ok(login));
    assert_eq!(describe(&[]), Err(IdentityError::NoneConfigured));
    let lines = IdentityError::NoneConfigured.to_string();
    for name in [secret.0, endpoint.0, file.0, "az login"] {
        assert!(lines.contains(name), "{name}");
    }
}

#[test]
fn an_incomplete_identity_is_an_error_and_not_another_identity() {
    let folder = tempfile::tempdir().unwrap();
    azure_cli::install(folder.path(), "exit 1");
    let path = ("PATH", folder.path().to_str().unwrap());
    let secret = ("AZURE_CLIENT_SECRET", "abc");
    let file = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
    let endpoint = ("IDENTITY_ENDPOINT", "http://localhost/msi/token");
    for (variables, names) in [
        (vec![secret], vec!["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]),
        (vec![secret, ("AZURE_TENANT_ID", TENANT)], vec!["AZURE_CLIENT_ID"]),
        (vec![file, ("AZURE_CLIENT_ID", CLIENT)], vec!["AZURE_TENANT_ID"]),
        (vec![endpoint], vec!["IDENTITY_HEADER"]),
        (vec![("IDENTITY_HEADER", "abc")], vec!["IDENTITY_ENDPOINT"]),
    ] {
        let all = [&[path], &variables[..]].concat();
        let error = Identity::choose(&settings(&all)).unwrap_err();
        let IdentityError::Settings(lines) = &error else {
            panic!("{error}");
        };
        let first: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(first, names);
    }
}
