//! A machine that lacks something: the build and `tests/run` end early, with one line that says what to do.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A folder with these programs, each a shell script.
fn programs(scripts: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in scripts {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

/// The whole output of `df` with this many KiB free.
fn df(free: u64) -> String {
    format!("echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo '/dev/x 9 9 {free} 9% /'")
}

#[test]
fn a_build_without_a_compiler_or_room_names_the_remedy() {
    let compiled = tempfile::tempdir().unwrap();
    let script = compiled.path().join("build-script");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let source = root().join("shared/contracts/build.rs");
    let build = Command::new(rustc)
        .args(["--edition", "2024", "-o"])
        .args([&script, &source])
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", text(&build));

    let room = df(64 << 20);
    let full = df(1 << 20);
    let all = [("cc", ":"), ("c++", ":"), ("make", ":"), ("perl", ":"), ("df", &*room)];
    let without = |missing: &str| -> Vec<(&str, &str)> {
        let programs = all.iter().filter(|(name, _)| *name != missing);
        programs.copied().collect()
    };
    let mut no_room = without("df");
    no_room.push(("df", &full));
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case; 9] = [
        (all.to_vec(), &[], None),
        (without("cc"), &[], Some("a C compiler is missing (`cc --version`")),
        (without("c++"), &[], Some("a C++ compiler is missing (`c++ --version`")),
        (without("make"), &[], Some("make is missing")),
        (without("perl"), &[], Some("perl, which configures OpenSSL, is missing")),
        (without("perl"), &[("OPENSSL_NO_VENDOR", "1")], None),
        (without("cc"), &[("CC", "make -j")], None),
        (
            all.to_vec(),
            &[("CXX", "none -O2")],
            Some("a C++ compiler is missing (`none --version`"),
        ),
        (no_room, &[], Some("has 1 GiB free, a build needs")),
    ];
    for (scripts, variables, expected) in cases {
        let folder = programs(&scripts);
        let output = Command::new(&script)
            .env_clear()
            .envs([("HOST", "x"), ("TARGET", "x"), ("OUT_DIR", "/")])
            .env("PATH", folder.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = text(&output);
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("cargo::error=")).collect();
        match expected {
            None => assert!(errors.is_empty(), "{errors:?}"),
            Some(expected) => assert!(
                errors.len() == 1
                    && errors[0].contains(expected)
                    && errors[0].contains("CARGO_TARGET_DIR") == expected.contains("GiB"),
                "{expected}: {said}"
            ),
        }
    }
}

#[test]
fn the_tests_name_the_remedy_as_well() {
    // Answers of the set-up come from the real cargo, everything else fails with this message.
    let broken = |message: &str| {
        let cargo = env!("CARGO");
        format!("case \"$*\" in *--version|metadata*) exec '{cargo}' \"$@\";; esac\necho '{message}' >&2\nexit 101")
    };
    let disk = broken("error: failed to write x.rmeta: No space left on device (os error 28)");
    let download = broken("error: failed to download from `https://static.crates.io/crates/x/1.0.0/download`");
    let full = df(1 << 20);
    let cases = [
        (
            "rustc",
            "echo 'rustc 1.80.0 (051478957 2024-07-21)'",
            "Rust 1.80.0 is too old: install Rust",
        ),
        ("df", &*full, "has 1 GiB free, the tests need"),
        (
            "cargo",
            &*disk,
            "cargo fmt: the disk is full: make room, or set CARGO_TARGET_DIR",
        ),
        (
            "cargo",
            &*download,
            "cargo fmt: a download broke off: check the network and run this again",
        ),
    ];
    for (program, script, expected) in cases {
        let folder = programs(&[(program, script)]);
        let path = env::var_os("PATH").unwrap();
        let path = env::join_paths([folder.path().to_path_buf()].into_iter().chain(env::split_paths(&path))).unwrap();
        let output = Command::new(root().join("tests/run"))
            .arg("--fast")
            .env("PATH", path)
            .output()
            .unwrap();
        let said = text(&output);
        let failures: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED: ")).collect();
        assert!(
            failures.len() == 1 && failures[0].contains(expected),
            "{expected}: {said}"
        );
        assert!(
            said.contains("\n0 passed, 1 failed\n") && !output.status.success(),
            "{said}"
        );
    }
}
