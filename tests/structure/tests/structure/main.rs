//! The shape of the code base: who may import whom, and how files are laid out.

// A failed set-up fails the test.
#![allow(clippy::unwrap_used)]

mod crates;
mod imports;
mod modules;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return files;
    };
    for entry in entries {
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

/// The sources of the workspace, by the folders of its packages.
fn sources() -> Vec<PathBuf> {
    ["shared", "handlers", "infra/emulators", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .filter(|file| !file.components().any(|part| part.as_os_str() == "target"))
        .collect()
}

/// Strongly connected components of more than one node: the circles of a graph.
fn circles(nodes: &[String], is_edge: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let count = nodes.len();
    let mut reaches: Vec<Vec<bool>> = (0..count)
        .map(|from| (0..count).map(|to| is_edge(from, to)).collect())
        .collect();
    for middle in 0..count {
        let further = reaches[middle].clone();
        for from in reaches.iter_mut().filter(|from| from[middle]) {
            for (reached, more) in from.iter_mut().zip(&further) {
                *reached |= more;
            }
        }
    }
    let mut circles: Vec<Vec<usize>> = (0..count)
        .map(|node| {
            (0..count)
                .filter(|&other| reaches[node][other] && reaches[other][node])
                .collect()
        })
        .filter(|circle: &Vec<usize>| circle.len() > 1)
        .collect();
    circles.sort();
    circles.dedup();
    circles
}
