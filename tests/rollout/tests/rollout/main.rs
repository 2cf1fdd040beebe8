//! Tests of the parts of a rollout besides the templates: the operators' guide and its runbooks, its script, the workflows and the
//! units.

#![allow(clippy::unwrap_used)]

mod guide;
mod images;
mod links;
mod project;
mod runbooks;
mod script;
mod units;
mod workflows;

use std::path::{Path, PathBuf};

/// Returns the path of a file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Reads a file of the repository.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the variables that the program reads, as listed in `.env.example`.
fn variables() -> Vec<String> {
    text(".env.example")
        .lines()
        .filter_map(|line| Some(line.strip_prefix('#')?.split_once('=')?.0.to_owned()))
        .filter(|name| !name.contains(' '))
        .collect()
}

/// Returns the names of the stages.
fn stages() -> Vec<&'static str> {
    xact_contracts::topology::STAGES.iter().map(|row| row.name).collect()
}
