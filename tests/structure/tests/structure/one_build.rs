//! One build for the program and its tests: what `cargo run` has compiled, `tests/run` does not compile once more.
//!
//! Cargo compiles a dependency again when the features differ that the two selections of packages ask of it.

use std::collections::BTreeSet;
use std::process::Command;

use super::root;

/// Every dependency from outside the workspace with its version and features, as `cargo build` with these arguments
/// compiles it. A dependency of programs and of build scripts may stand twice.
fn compiled(selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p} {f}"])
        .args(selection)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of_the_workspace = |line: &&str| line.contains("(/");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter(|line| !line.is_empty() && !of_the_workspace(line))
        // What was listed before is marked, and its own dependencies are left out.
        .map(|line| {
            line.trim_end_matches(" (*)")
                .trim_end_matches(" (proc-macro)")
                .to_owned()
        })
        .collect()
}

#[test]
fn the_tests_compile_no_dependency_of_the_program_again() {
    let program = compiled(&["--edges", "normal,build"]);
    let tests = compiled(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(
        program.len() > 300,
        "cargo tree lists the dependencies: {}",
        program.len()
    );
    let again: Vec<&String> = program.difference(&tests).collect();
    assert!(
        again.is_empty(),
        "tests turn on further features of {} dependencies, which `cargo run` compiled with these: {again:#?}\n\
         Turn the missing features on in handlers/pipeline/Cargo.toml as well (`cargo tree --workspace -e features -i CRATE`).",
        again.len()
    );
}
