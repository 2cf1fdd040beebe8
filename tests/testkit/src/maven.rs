//! Fetches jars with Maven.

use std::{path::Path, process::Command};

use crate::{Error, Result, binary::on_path, process::output, workdir::write};

/// Copies the runtime dependencies of the project `pom` into the folder `lib` of `folder`, and the pom into `folder`.
pub(crate) fn copy_jars(pom: &str, folder: &Path) -> Result<()> {
    let mvn = on_path("mvn").ok_or(Error::Missing {
        program: "mvn",
        remedy: "apt-get install maven (or Apache Maven 3.8 or later)",
    })?;
    let file = folder.join("pom.xml");
    write(&file, pom)?;
    let mut command = Command::new(mvn);
    command
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            "-DoutputDirectory=lib",
        ])
        .current_dir(folder);
    output(
        &mut command,
        &format!("Maven could not fetch the jars of {}", file.display()),
    )
    .map(drop)
}
