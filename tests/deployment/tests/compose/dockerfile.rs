//! The Dockerfile, checked without an engine: every HANDLER has a build stage with the dependencies that it needs.

use std::collections::BTreeMap;

use crate::stack::{built_services, handler, read};
use xact_contracts::topology::STAGES;

/// Returns the base stage of the build of each handler.
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
fn every_image_of_the_stack_is_in_the_dockerfile() {
    let below = below();
    for (name, service) in built_services() {
        assert!(below.contains_key(handler(service).unwrap()), "{name}");
        assert_eq!(service["build"]["dockerfile"], "Dockerfile", "{name}");
    }
}

#[test]
fn the_rust_version_is_that_of_the_workspace() {
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
fn the_build_profiles_are_those_of_the_workspace() {
    let manifest = read("Cargo.toml");
    for profile in ["dist", "release", "dev"] {
        assert!(manifest.contains(&format!("[profile.{profile}]")), "{profile}");
    }
    assert!(built_services().all(|(_, service)| service["build"]["args"]["PROFILE"] == "release"));
}
