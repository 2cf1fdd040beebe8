//! Finds the Bicep CLI and runs it on the templates in `bicep/` with placeholders for the environment.

mod deployment;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, WorkDir, binary::on_path, workdir};
pub use deployment::{Deployment, Prediction};

/// Placeholder of the Fabric workspace, which the parameter files read from the environment.
pub const WORKSPACE: &str = "11111111-1111-4111-8111-111111111111";
/// Placeholder of the lakehouse.
pub const LAKEHOUSE: &str = "22222222-2222-4222-8222-222222222222";
/// Placeholder of the image tag.
pub const IMAGE_TAG: &str = "1.2.3";
/// Placeholder of the recipient of the alerts.
pub const ALERT_EMAIL: &str = "on-call@example.com";

/// Finds the CLI: on PATH, at `$BICEP`, or in a folder next to the checkout.
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

/// Returns a command that runs the CLI in `folder` with the placeholders in its environment.
pub fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .current_dir(folder)
        .args(arguments)
        // Variables of the user's own deployments must not influence the tests.
        .env_remove("XACT_DEPLOY_APPS")
        .env_remove("XACT_FABRIC_SCHEMA")
        .env_remove("XACT_SCALER_SECRET")
        .envs([
            ("XACT_FABRIC_WORKSPACE_ID", WORKSPACE),
            ("XACT_FABRIC_LAKEHOUSE_ID", LAKEHOUSE),
            ("XACT_IMAGE_TAG", IMAGE_TAG),
            ("XACT_ALERT_EMAIL", ALERT_EMAIL),
        ]);
    Ok(command)
}

/// Returns the folder of the templates.
pub fn templates() -> PathBuf {
    root().join("bicep")
}

/// Copies the templates, so that the CLI writes its files elsewhere.
pub fn copy_of_templates() -> Result<WorkDir> {
    let copy = WorkDir::new("bicep")?;
    workdir::copy(&templates(), copy.path())?;
    Ok(copy)
}

/// Returns the root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
