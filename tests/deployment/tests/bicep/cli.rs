//! Runs the Bicep CLI.

pub(crate) use xact_testkit::bicep::{ALERT_EMAIL, IMAGE_TAG, LAKEHOUSE, WORKSPACE, templates};

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use serde_json::Value;

use xact_testkit::WorkDir;

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the CLI in `folder`.
pub(crate) fn bicep(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = xact_testkit::bicep::command(folder, arguments).unwrap();
    command.envs(environment.iter().copied()).output().expect("bicep runs")
}

/// Returns the compiled `main.bicep`, which must have no diagnostics.
pub(crate) fn built() -> &'static Value {
    static BUILT: LazyLock<Value> = LazyLock::new(|| {
        let output = bicep(&templates(), &["build", "main.bicep", "--stdout"], &[]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && printed.is_empty(), "{printed}");
        serde_json::from_slice(&output.stdout).unwrap()
    });
    &BUILT
}

/// Copies the templates, so that the CLI writes its files elsewhere.
pub(crate) fn copy_of_templates() -> WorkDir {
    xact_testkit::bicep::copy_of_templates().unwrap()
}
