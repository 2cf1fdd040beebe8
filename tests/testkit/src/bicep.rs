//! The Bicep CLI, asked about the deployment in `bicep/`: where it is, and what it is told of its surroundings.

mod deployment;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, WorkDir, binary::on_path, workdir};
pub use deployment::{Deployment, Prediction};

/// What the parameter files read from the environment: placeholders of the Fabric workspace, …
pub const WORKSPACE: &str = "11111111-1111-4111-8111-111111111111";
/// … the lakehouse, …
pub const LAKEHOUSE: &str = "22222222-2222-4222-8222-222222222222";
/// … the images' tag, …
pub const IMAGE_TAG: &str = "1.2.3";
/// … and whom the alerts go to.
pub const ALERT_EMAIL: &str = "on-call@example.com";

/// The CLI: on PATH, at `$BICEP`, or in a folder beside the checkout.
///
/// # Errors
/// When it is nowhere.
pub fn program() -> Result<PathBuf> {
    let named = || {
        env::var_os("BICEP")
            .map(PathBuf::from)
            .filter(|program| program.is_file())
    };
    let beside = || Some(root().join("../shared/tools/bicep")).filter(|program| program.is_file());
    on_path("bicep").or_else(named).or_else(beside).ok_or(Error::Missing {
        program: "bicep",
        remedy: "az bicep install, then ~/.azure/bin on PATH, or the program's path in BICEP",
    })
}

/// The CLI, to be run in `folder`, with the placeholders in its environment.
///
/// # Errors
/// When it is nowhere.
pub fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .current_dir(folder)
        .args(arguments)
        // What the person at the machine has set for a deployment of his own is not ours.
        .env_remove("XACT_DEPLOY_APPS")
        .env_remove("XACT_SCALER_SECRET")
        .envs([
            ("XACT_FABRIC_WORKSPACE_ID", WORKSPACE),
            ("XACT_FABRIC_LAKEHOUSE_ID", LAKEHOUSE),
            ("XACT_IMAGE_TAG", IMAGE_TAG),
            ("XACT_ALERT_EMAIL", ALERT_EMAIL),
        ]);
    Ok(command)
}

/// The folder of the templates.
#[must_use]
pub fn templates() -> PathBuf {
    root().join("bicep")
}

/// A copy of the templates, so that what the CLI writes lies elsewhere.
///
/// # Errors
/// When they cannot be copied.
pub fn copy_of_templates() -> Result<WorkDir> {
    let copy = WorkDir::new("bicep")?;
    workdir::copy(&templates(), copy.path())?;
    Ok(copy)
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
