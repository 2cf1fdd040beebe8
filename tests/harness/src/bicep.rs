//! The deployment in `bicep/`, as the Bicep CLI predicts it without Azure.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Error, Result, WorkDir, binary::on_path, process::output, workdir};

/// What the parameter files read from the environment, and a subscription that is nobody's.
const SETTINGS: [(&str, &str); 4] = [
    ("XACT_FABRIC_WORKSPACE_ID", "11111111-1111-4111-8111-111111111111"),
    ("XACT_FABRIC_LAKEHOUSE_ID", "22222222-2222-4222-8222-222222222222"),
    ("XACT_IMAGE_TAG", "1.2.3"),
    ("XACT_ALERT_EMAIL", "on-call@example.com"),
];
const SUBSCRIPTION: &str = "00000000-0000-4000-8000-000000000001";

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

/// Every resource that a deployment with the parameter file `parameters` (`main.prod.bicepparam`) would make: loops
/// unrolled, names computed.
///
/// # Errors
/// When the CLI is missing, or has anything to say.
pub fn resources(parameters: &str) -> Result<Vec<Value>> {
    let dir = WorkDir::new("bicep")?;
    // It writes its prediction beside the parameters.
    let folder = dir.join("bicep");
    workdir::copy(&root().join("bicep"), &folder)?;
    let mut command = Command::new(program()?);
    command
        .current_dir(&folder)
        .args(["snapshot", parameters, "--mode=overwrite", "--location=westeurope"]);
    command.args([
        "--subscription-id",
        SUBSCRIPTION,
        "--resource-group=rg-xact-test",
        "--deployment-name=xact",
    ]);
    // What the person at the machine has set for a deployment of his own is not ours.
    command.env_remove("XACT_DEPLOY_APPS").envs(SETTINGS);
    let said = output(&mut command, &format!("bicep snapshot {parameters} failed"))?;
    let file = folder.join(parameters).with_extension("snapshot.json");
    let text = fs::read_to_string(&file).map_err(Error::io(format!("read {}: {said}", file.display())))?;
    let resources =
        serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|mut all| match all["predictedResources"].take() {
                Value::Array(resources) => Some(resources),
                _ => None,
            });
    resources.ok_or_else(|| Error::failed(format!("{} is no prediction of resources", file.display()), text))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
