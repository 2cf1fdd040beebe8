//! The Bicep CLI, as these tests ask it.

pub(crate) use xact_testkit::bicep::{ALERT_EMAIL, IMAGE_TAG, LAKEHOUSE, WORKSPACE, templates};

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use serde_json::Value;

use xact_testkit::WorkDir;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the CLI in `folder`.
pub(crate) fn bicep(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = xact_testkit::bicep::command(folder, arguments).unwrap();
    command.envs(environment.iter().copied()).output().expect("bicep runs")
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
pub(crate) fn copy_of_templates() -> WorkDir {
    xact_testkit::bicep::copy_of_templates().unwrap()
}
