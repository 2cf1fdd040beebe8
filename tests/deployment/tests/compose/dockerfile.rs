//! The Dockerfile, checked without an engine: every HANDLER has a build stage with the dependencies that it needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::stack::{built_services, handler, read, service};
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
        ("all", "tables"),
    ] {
        expected.insert(program.to_owned(), stage.to_owned());
    }
    assert_eq!(below(), expected);
}

#[test]
fn the_image_of_all_programs_has_those_of_the_stack() {
    let dockerfile = read("Dockerfile");
    let programs = dockerfile
        .split("\nFROM tables AS below-all\nENV PROGRAMS=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let programs: BTreeSet<&str> = programs.split(' ').collect();
    let handlers = below();
    // A package has the name of its handler, except for the operator's program.
    let packages = handlers
        .keys()
        .filter(|name| *name != "all")
        .map(|name| match name.as_str() {
            "pipeline" => "xact-pipeline",
            name => name,
        });
    assert_eq!(programs, packages.collect());
    for (name, service) in built_services() {
        assert!(programs.contains(handler(service).unwrap()), "{name}");
    }
}

/// Returns the images that the Dockerfile begins with, as name, tag and digest.
fn base_images(dockerfile: &str) -> Vec<(&str, &str, &str)> {
    let images = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let images = images.filter_map(|image| image.split_once(':'));
    images
        .map(|(name, rest)| {
            let (tag, digest) = rest
                .split_once("@sha256:")
                .unwrap_or_else(|| panic!("{name}:{rest} has no digest"));
            assert!(
                digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{digest}"
            );
            (name, tag, digest)
        })
        .collect()
}

#[test]
fn libraries_come_from_an_image_that_is_still_updated() {
    let dockerfile = read("Dockerfile");
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .unwrap();
    let images: Vec<_> = base_images(&dockerfile)
        .into_iter()
        .map(|(name, tag, _)| (name, tag))
        .collect();
    // The same release of Debian, and so the same C library. Debian's image is updated; that of a former Rust is not.
    let compiler = format!("{version}-bookworm");
    assert_eq!(images, [("rust", compiler.as_str()), ("debian", "bookworm-slim")]);
    let (_, system) = dockerfile.split_once("AS system\n").unwrap();
    let (system, image) = system.split_once("\nFROM scratch\n").unwrap();
    assert!(system.contains("apt-get upgrade"));
    assert!(system.contains("ldd ") && system.contains("ca-certificates.crt"));
    let sources: Vec<_> = image.lines().filter(|line| line.starts_with("COPY ")).collect();
    assert!(
        !sources.is_empty() && sources.iter().all(|line| line.starts_with("COPY --from=system ")),
        "{sources:?}"
    );
}

#[test]
fn the_dockerfile_needs_no_buildkit() {
    // `az acr build` has none: https://github.com/Azure/acr/issues/721.
    let dockerfile = read("Dockerfile");
    let instructions = dockerfile.lines().filter(|line| !line.starts_with('#'));
    for line in instructions {
        for option in [
            "--mount",
            "--link",
            "--platform",
            "--chmod",
            "--network",
            "--security",
            "TARGETARCH",
            "<<EOF",
        ] {
            assert!(!line.contains(option), "{line}");
        }
    }
    assert!(!dockerfile.contains("# syntax"));
}

#[test]
fn the_build_profiles_are_those_of_the_workspace() {
    let manifest = read("Cargo.toml");
    for profile in ["dist", "release", "dev"] {
        assert!(manifest.contains(&format!("[profile.{profile}]")), "{profile}");
    }
    assert_eq!(service("image")["build"]["args"]["PROFILE"], "release");
}
