//! A Python environment with the libraries of `tests/requirements.txt`. It verifies the output of the pipeline without sharing
//! code with it.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, cache, context, process::output, workdir::write};

const REQUIREMENTS: &str = include_str!("../../requirements.txt");

/// Returns the interpreter of the virtual environment in the test cache. The first call on a machine creates it (about 20 s,
/// 550 MB) with `$XACT_TEST_PYTHON`, else `python3`.
pub fn interpreter() -> Result<PathBuf> {
    environment("python", REQUIREMENTS)
}

/// Returns the interpreter of the virtual environment `name` in the test cache, with the libraries of `requirements`.
pub(crate) fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let python = env::var("XACT_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    // Libraries are built for one version, so another Python needs another environment.
    let version = output(Command::new(&python).arg("--version"), "python3 failed")
        .map_err(context("python3 is missing: apt-get install python3-venv"))?;
    let recipe = format!("{requirements}\n{python} {version}");
    let folder = cache::once(name, &recipe, |folder| {
        let remedy = "Python could not make a virtual environment: apt-get install python3-venv";
        output(Command::new(&python).args(["-m", "venv"]).arg(folder), remedy)?;
        let file = folder.join("requirements.txt");
        write(&file, requirements)?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(file);
        output(&mut pip, &format!("pip could not install these:\n{requirements}")).map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

/// Runs the Python script `script` with `args`. Returns its stdout, or an error with its whole output.
pub fn run_script<A: AsRef<OsStr>>(script: &Path, args: impl IntoIterator<Item = A>) -> Result<String> {
    let mut command = Command::new(interpreter()?);
    output(command.arg(script).args(args), &format!("{} failed", script.display()))
}
