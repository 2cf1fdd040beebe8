//! Finds programs: binaries of the workspace that `cargo build` has built, and programs on PATH.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Error, Result, failed};

/// Returns the path of the workspace binary `name` in the profile of the running test or program: `target/<profile>/<name>`.
///
/// Cargo passes to a test only the binaries of its own package (`CARGO_BIN_EXE_…`), but a test of the whole pipeline needs
/// those of other packages. Cargo does not build them either: `tests/run` does that before the tests.
pub fn binary(name: &str) -> Result<PathBuf> {
    let running = env::current_exe().map_err(Error::io("find the running program's own path"))?;
    // A test is target/<profile>/deps/<test>-<hash>, a program target/<profile>/<program>.
    let folder = running.parent().unwrap_or(Path::new("."));
    let profile = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let path = profile.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(failed(
        format!("the binary {name} is not built: run `cargo build --workspace` first"),
        format!("looked for {}", path.display()),
    ))
}

/// Returns the path of `program` on PATH with links resolved.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())?
        .canonicalize()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_missing_binary_names_the_build_command() {
        let error = binary("no-such-handler").unwrap_err().to_string();
        assert!(
            error.contains("cargo build --workspace") && error.contains("no-such-handler"),
            "{error}"
        );
    }
}
