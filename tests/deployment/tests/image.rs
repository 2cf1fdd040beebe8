//! Builds and runs the image of a handler: checks its files, its permissions, its health endpoints and how it stops.
//!
//! `tests/run` runs these tests where a Docker engine is available; `DOCKER` names its client (default `docker`). The image is
//! built with the dev profile, on which the checked properties do not depend.

#![allow(clippy::unwrap_used)]

use std::env;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

const HANDLER: &str = "retry-scheduler";
const IMAGE: &str = "xact-pipeline/retry-scheduler:test";

/// Prefixes of all paths in the image. Paths of libraries contain the architecture of the machine.
const CONTENT: [&str; 12] = [
    "cache/",
    "data/",
    "etc/group",
    "etc/nsswitch.conf",
    "etc/os-release",
    "etc/passwd",
    "etc/ssl/",
    "handler",
    "lib/",
    "lib64/",
    "usr/lib/",
    "var/lib/dpkg/status.d/",
];
/// Paths that the engine adds to every container.
const ADDED_BY_ENGINE: [&str; 7] = [
    ".dockerenv",
    "dev/",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc/",
];

static BUILT: LazyLock<()> = LazyLock::new(|| {
    let output = build(HANDLER);
    assert!(output.status.success(), "{}", text(&output.stderr));
});

fn docker<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let program = env::var("DOCKER").unwrap_or_else(|_| "docker".to_owned());
    Command::new(&program)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("DOCKER_BUILDKIT", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; these tests need a Docker engine (see tests/run)"))
}

/// Returns the output of a command that must succeed.
fn output_of<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let output = docker(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

fn build(handler: &str) -> Output {
    let handler = format!("HANDLER={handler}");
    // Without the digests of the base images: an engine without a registry has them by their tags alone.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let by_tag = dockerfile.lines().map(|line| match line.split_once("@sha256:") {
        Some((image, rest)) if line.starts_with("FROM ") => format!("{image} {}\n", rest.split_once(' ').unwrap().1),
        _ => format!("{line}\n"),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), by_tag.collect::<String>()).unwrap();
    // The network of the engine: not every engine provides another one for builds.
    docker([
        "build",
        "--network",
        "host",
        "--build-arg",
        &handler,
        "--build-arg",
        "PROFILE=dev",
        "--tag",
        IMAGE,
        "--file",
        file.path().to_str().unwrap(),
        ".",
    ])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A container of the image. Dropping it removes the container.
struct Container(String);

impl Container {
    fn create(options: &[&str]) -> Self {
        LazyLock::force(&BUILT);
        let create = ["create", "--network", "none", "--read-only", "--cap-drop", "ALL"];
        let guard = ["--security-opt", "no-new-privileges"];
        let words = create.iter().chain(&guard).chain(options).copied().chain([IMAGE]);
        Self(output_of(words))
    }

    /// Runs the health check of the handler in the container.
    fn ask(&self, question: &str) -> Output {
        docker(["exec", &self.0, "/handler", question])
    }

    fn log(&self) -> String {
        let output = docker(["logs", &self.0]);
        text(&output.stdout) + &text(&output.stderr)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(["rm", "--force", "--volumes", &self.0]);
    }
}

#[test]
fn built_image_contains_only_the_handler_and_its_libraries() {
    let container = Container::create(&[]);
    let archive = tempfile::NamedTempFile::new().unwrap();
    output_of(["export", "--output", archive.path().to_str().unwrap(), &container.0]);
    let listed = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(archive.path())
        .output()
        .unwrap();
    let listed = text(&listed.stdout);
    let mut found = Vec::new();
    for line in listed.lines() {
        // -rwxr-xr-x 0/0 17588536 2026-01-31 13:57 handler
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (mode, owner, path) = (words[0], words[1], words[5]);
        // A volume that is mounted there gets the same owner.
        let is_volume = ["cache/", "data/"].contains(&path);
        assert_eq!(owner, if is_volume { "65532/65532" } else { "0/0" }, "{line}");
        if mode.starts_with('d') || ADDED_BY_ENGINE.iter().any(|part| path.starts_with(part)) {
            continue;
        }
        assert!(
            CONTENT.iter().any(|part| path.starts_with(part)),
            "unexpected path {path}"
        );
        assert!(!mode.contains(['s', 't']), "{line}");
        found.push(path.to_owned());
    }
    let has = |part: &str| found.iter().any(|path| path.contains(part));
    assert!(
        has("handler") && has("libc.so.6") && has("libgcc_s.so.1") && has("ca-certificates.crt"),
        "{found:?}"
    );
    assert!(found.len() < 20, "{found:?}");
}

#[test]
fn built_image_declares_user_entry_point_and_stop_signal() {
    LazyLock::force(&BUILT);
    let shown = output_of([
        "image",
        "inspect",
        "--format",
        "{{.Config.User}} {{.Config.StopSignal}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{index .Config.Labels \"org.opencontainers.image.title\"}}",
        IMAGE,
    ]);
    assert_eq!(
        shown,
        format!("65532:65532 SIGTERM [\"/handler\"] null xact-pipeline/{HANDLER}")
    );
}

#[test]
fn built_image_without_a_broker_is_live_but_not_ready_and_stops_on_sigterm() {
    let container = Container::create(&[]);
    output_of(["start", &container.0]);
    let started = Instant::now();
    while !container.ask("--live").status.success() {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", container.log());
        thread::sleep(Duration::from_millis(50));
    }
    let ready = container.ask("--ready");
    assert_eq!(ready.status.code(), Some(1), "{}", container.log());
    let why = text(&ready.stderr);
    assert!(
        why.contains("\"ready\":false") && why.contains("retry-scheduler/broker"),
        "{why}"
    );

    let stopping = Instant::now();
    output_of(["stop", "--time", "30", &container.0]);
    assert!(
        stopping.elapsed() < Duration::from_secs(25),
        "it was killed: {}",
        container.log()
    );
    let code = output_of(["inspect", "--format", "{{.State.ExitCode}}", &container.0]);
    assert_eq!(code, "0", "{}", container.log());
    assert!(container.log().contains("draining"), "{}", container.log());
}

#[test]
fn built_image_of_an_unknown_handler_fails() {
    let output = build("uploads");
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("below-uploads"),
        "{}",
        text(&output.stderr)
    );
}
