//! The services of the stack as printed by `docker compose config`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The services of all profiles by name.
pub(crate) static SERVICES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let output = compose(&["--profile", "*", "config", "--format", "json"], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stack: Value = serde_json::from_slice(&output.stdout).unwrap();
    stack["services"].as_object().unwrap().clone()
});

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs `docker compose` on the file; of the variables that change it, only the given ones are set.
pub(crate) fn compose(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let program = env::var("DOCKER_COMPOSE").unwrap_or_else(|_| "docker compose".to_owned());
    let mut words = program.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg("-f")
        .arg(root().join("infra/compose.yaml"))
        .args(arguments);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["XACT_", "COMPOSE_", "OTEL_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&*name);
        }
    }
    command
        .envs(variables.iter().copied())
        .output()
        .unwrap_or_else(|error| {
            panic!("{program}: {error}; install Docker Compose, or name its program in DOCKER_COMPOSE (tests/run does)")
        })
}

/// Returns a service, which must exist.
pub(crate) fn service(name: &str) -> &'static Value {
    SERVICES
        .get(name)
        .unwrap_or_else(|| panic!("there is no service {name}"))
}

/// Name of the image of all programs without variables that change it.
pub(crate) const IMAGE: &str = "localhost/xact-pipeline/all:local";

/// Returns the program of the shared image that a service runs.
pub(crate) fn handler(service: &Value) -> Option<&str> {
    let own = service["image"] == IMAGE;
    own.then(|| service["entrypoint"][0].as_str()?.strip_prefix('/'))
        .flatten()
}

/// Returns the services that run a program of the shared image.
pub(crate) fn built_services() -> impl Iterator<Item = (&'static String, &'static Value)> {
    SERVICES.iter().filter(|(_, service)| handler(service).is_some())
}

/// Returns a variable of a service.
pub(crate) fn variable<'a>(service: &'a Value, name: &str) -> Option<&'a str> {
    service["environment"][name].as_str()
}

/// Returns the texts of a list; none if there is no list.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[test]
fn docker_compose_accepts_the_file_without_a_warning() {
    let output = compose(&["config", "--quiet"], &[]);
    let printed = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && printed.is_empty(),
        "{}",
        String::from_utf8_lossy(&printed)
    );
}

#[test]
fn one_service_gets_the_image_and_the_others_wait_for_it() {
    // (https://github.com/docker/compose/issues/13043: builds of several services run at once, whatever the limit.)
    for (name, service) in &*SERVICES {
        assert_eq!(service["build"].is_null(), name != "image", "{name}");
    }
    let getter = service("image");
    assert_eq!(getter["build"]["args"]["HANDLER"], "all");
    assert_eq!(getter["build"]["dockerfile"], "Dockerfile");
    // Pulled first, built if that fails (pkg/compose/pull.go, `isServiceImageToBuild`).
    assert_eq!(getter["pull_policy"], "missing");
    for (name, service) in built_services().filter(|(name, _)| *name != "image") {
        assert_eq!(service["pull_policy"], "never", "{name}");
        assert!(waits_for(name, "image"), "{name}");
    }
}

/// Returns whether a service waits for another one, directly or through those that it waits for.
fn waits_for(name: &str, other: &str) -> bool {
    let needed = SERVICES[name]["depends_on"].as_object();
    needed.is_some_and(|needed| needed.keys().any(|next| next == other || waits_for(next, other)))
}

#[test]
fn a_published_image_is_named_by_variables() {
    let variables = [
        ("XACT_IMAGE", "ghcr.io/owner/name/all"),
        ("XACT_IMAGE_TAG", "1.2.3"),
        ("XACT_KAFKA_PORT", "9999"),
    ];
    let output = compose(&["--profile", "*", "config", "--format", "json"], &variables);
    let stack: Value = serde_json::from_slice(&output.stdout).unwrap();
    let images = |image: &str| {
        let services = stack["services"].as_object().unwrap().values();
        services.filter(|service| service["image"] == image).count()
    };
    assert_eq!(images("ghcr.io/owner/name/all:1.2.3"), built_services().count());
    let kafka = &stack["services"]["kafka"];
    assert_eq!(kafka["ports"][0]["published"], "9999");
    let advertised = variable(kafka, "KAFKA_ADVERTISED_LISTENERS").unwrap();
    assert!(advertised.ends_with("OUTSIDE://localhost:9999"), "{advertised}");
}
