//! What a rollout is made of besides the templates: the guide, its script, the workflows and the units say what is so.

#![allow(clippy::unwrap_used)]

mod guide;
mod script;
mod units;
mod workflows;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Its text.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The variables that the program knows, by its own list of them.
fn variables() -> Vec<String> {
    text(".env.example")
        .lines()
        .filter_map(|line| Some(line.strip_prefix('#')?.split_once('=')?.0.to_owned()))
        .filter(|name| !name.contains(' '))
        .collect()
}

/// The names of the stages.
fn stages() -> Vec<&'static str> {
    xact_contracts::topology::STAGES.iter().map(|row| row.name).collect()
}
