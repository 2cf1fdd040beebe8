//! Real files of every kind that the file rules know, in the test cache: files of common programs, and files that must be
//! rejected. `tests/real-files/make.py` lists them with their sources.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, cache, maven, process::output, python};

const REQUIREMENTS: &str = include_str!("../../real-files/requirements.txt");
const POM: &str = include_str!("../../real-files/pom.xml");
const SCRIPT: &str = include_str!("../../real-files/make.py");

/// Returns the folder of the files, whose layout `make.py` describes. The first call on a machine creates them (about 30 s and
/// 400 MB, mostly the programs that write them).
pub fn folder() -> Result<PathBuf> {
    cache::once("real-files", &[SCRIPT, REQUIREMENTS, POM].join("\n"), |folder| {
        let python = python::environment("real-files-python", REQUIREMENTS)?;
        let jars = folder.join("jars");
        fs::create_dir(&jars).map_err(Error::io(format!("create {}", jars.display())))?;
        maven::copy_jars(POM, &jars)?;
        // It runs in its own folder, because it uses a script of the tests as a sample.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../real-files/make.py");
        let mut make = Command::new(python);
        make.arg(script).arg(folder).arg(jars.join("lib"));
        output(&mut make, "tests/real-files/make.py failed")?;
        fs::remove_dir_all(&jars).map_err(Error::io(format!("remove {}", jars.display())))
    })
}
