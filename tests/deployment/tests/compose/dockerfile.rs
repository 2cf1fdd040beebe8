//! The Dockerfile, as far as it can be read without an engine: each HANDLER that there is, on the dependencies that it has.

use std::collections::BTreeMap;

use crate::stack::{handler, ours, read};
use xact_contracts::topology::STAGES;

/// What each handler's build stands on.
fn below() -> BTreeMap<String, String> {
    read("Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("FROM ")?.split_once(" AS below-"))
        .map(|(stage, handler)| (handler.to_owned(), stage.to_owned()))
        .collect()
}

#[test]
fn every_stage_and_program_has_an_image_and_only_those_with_tables_compile_delta() {
    let mut expected: BTreeMap<String, String> = STAGES
        .iter()
        .map(|row| {
            (
                row.name.to_owned(),
                if row.tables.is_empty() { "runtime" } else { "tables" }.to_owned(),
            )
        })
        .collect();
    for (program, stage) in [
        ("pipeline", "tables"),
        ("attachment-source", "runtime"),
        ("onelake-emulator", "runtime"),
    ] {
        expected.insert(program.to_owned(), stage.to_owned());
    }
    assert_eq!(below(), expected);
}

#[test]
fn the_stack_builds_what_the_dockerfile_has() {
    let below = below();
    for (name, service) in ours() {
        assert!(below.contains_key(handler(service).unwrap()), "{name}");
        assert_eq!(service["build"]["dockerfile"], "Dockerfile", "{name}");
    }
}

#[test]
fn it_is_built_with_the_rust_that_the_workspace_asks_for() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .unwrap();
    let dockerfile = read("Dockerfile");
    let images: Vec<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM rust:"))
        .collect();
    assert!(
        !images.is_empty()
            && images
                .iter()
                .all(|image| image.starts_with(&format!("{version}-bookworm"))),
        "{images:?}"
    );
}

#[test]
fn the_profiles_that_it_may_be_built_with_are_the_workspaces() {
    let manifest = read("Cargo.toml");
    for profile in ["dist", "release", "dev"] {
        assert!(manifest.contains(&format!("[profile.{profile}]")), "{profile}");
    }
    assert!(ours().all(|(_, service)| service["build"]["args"]["PROFILE"] == "release"));
}
