//! Asks for what the C and C++ dependencies (OpenSSL, librdkafka, zstd) need, so that a build without it ends in its first
//! minute with one line that says what to install, instead of later within the output of somebody's configure script.
//!
//! It belongs to this crate because every other one depends on it, so Cargo runs it before the long compilations.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a build of the program writes, with room for the linker.
const FREE_GIB: u64 = 3;

/// Where a program comes from.
const INSTALL: &str =
    "on Debian and Ubuntu: apt-get install build-essential perl; elsewhere: the packages of gcc, g++, make and perl";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["CC", "CXX", "OPENSSL_NO_VENDOR"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // Another target's compilers have names of their own.
    if env::var_os("HOST") != env::var_os("TARGET") {
        return;
    }
    let vendored_openssl = env::var("OPENSSL_NO_VENDOR").is_ok_and(|value| value != "0");
    let needed = [
        ("a C compiler", compiler("CC", "cc"), false),
        ("a C++ compiler", compiler("CXX", "c++"), false),
        ("make", "make".to_owned(), false),
        ("perl, which configures OpenSSL,", "perl".to_owned(), vendored_openssl),
    ];
    for (what, program, left_out) in needed {
        if !left_out && !runs(&program) {
            println!("cargo::error={what} is missing (`{program} --version` does not run); {INSTALL}");
        }
    }
    if let Some(free) = env::var_os("OUT_DIR").and_then(|folder| free_gib(Path::new(&folder)))
        && free < FREE_GIB
    {
        println!(
            "cargo::error=the disk of the target folder has {free} GiB free, a build needs {FREE_GIB}; make room, or set \
             CARGO_TARGET_DIR to a folder on another disk"
        );
    }
}

/// The compiler that a variable names, perhaps behind a launcher and with arguments.
fn compiler(variable: &str, default: &str) -> String {
    let named = env::var(variable).ok();
    let first = named.as_deref().and_then(|command| command.split_whitespace().next());
    first.unwrap_or(default).to_owned()
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The whole GiB that are free on the file system of a folder. `None` where `df` does not say.
fn free_gib(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kib: u64 = text.lines().last()?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib >> 20)
}
