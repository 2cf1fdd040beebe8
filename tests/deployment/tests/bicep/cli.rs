//! The Bicep CLI: where it is, and how it is asked.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Placeholders of what the parameter files read from the environment.
pub(crate) const WORKSPACE: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const LAKEHOUSE: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const IMAGE_TAG: &str = "1.2.3";
pub(crate) const ALERT_EMAIL: &str = "on-call@example.com";

static BICEP: LazyLock<PathBuf> = LazyLock::new(|| harness::bicep::program().unwrap());

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the templates.
pub(crate) fn templates() -> PathBuf {
    root().join("bicep")
}

/// Runs the CLI in `folder`.
pub(crate) fn bicep(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(&*BICEP)
        .current_dir(folder)
        .args(arguments)
        // What the person at the machine has set for a deployment of his own is not ours.
        .env_remove("XACT_DEPLOY_APPS")
        .env_remove("XACT_SCALER_SECRET")
        .env("XACT_FABRIC_WORKSPACE_ID", WORKSPACE)
        .env("XACT_FABRIC_LAKEHOUSE_ID", LAKEHOUSE)
        .env("XACT_IMAGE_TAG", IMAGE_TAG)
        .env("XACT_ALERT_EMAIL", ALERT_EMAIL)
        .envs(environment.iter().copied())
        .output()
        .expect("bicep runs")
}

/// What `main.bicep` is compiled to; the CLI must have nothing to say of it.
pub(crate) fn built() -> &'static Value {
    static BUILT: LazyLock<Value> = LazyLock::new(|| {
        let output = bicep(&templates(), &["build", "main.bicep", "--stdout"], &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    });
    &BUILT
}

/// Copies the templates, so that what the CLI writes lies elsewhere.
pub(crate) fn copy_of_templates() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&templates(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
