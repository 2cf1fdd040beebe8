//! The shape of the code base: who may import whom, and how files are laid out.

// A failed set-up fails the test.
#![allow(clippy::unwrap_used)]

mod crates;
mod imports;
mod modules;
mod one_build;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The folders of the workspace's packages.
const FOLDERS: [&str; 4] = ["shared", "handlers", "infra/emulators", "tests"];

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The sources of the workspace.
fn sources() -> Vec<PathBuf> {
    FOLDERS
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .filter(|file| !file.components().any(|part| part.as_os_str() == "target"))
        .collect()
}
