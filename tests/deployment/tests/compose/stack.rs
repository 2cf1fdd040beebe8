//! The services of the stack as printed by `docker compose config`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The services of all profiles by name.
pub(crate) static SERVICES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let output = compose(&["--profile", "*", "config", "--format", "json"]);
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

/// Runs `docker compose` on the file without variables that change it.
fn compose(arguments: &[&str]) -> Output {
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
    command.output().unwrap_or_else(|error| {
        panic!("{program}: {error}; install Docker Compose, or name its program in DOCKER_COMPOSE (tests/run does)")
    })
}

/// Returns a service, which must exist.
pub(crate) fn service(name: &str) -> &'static Value {
    SERVICES
        .get(name)
        .unwrap_or_else(|| panic!("there is no service {name}"))
}

/// Returns the `HANDLER` with which the image of a service is built, if it is built from the Dockerfile.
pub(crate) fn handler(service: &Value) -> Option<&str> {
    service["build"]["args"]["HANDLER"].as_str()
}

/// Returns the services whose images are built from the Dockerfile.
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
    let output = compose(&["config", "--quiet"]);
    let printed = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && printed.is_empty(),
        "{}",
        String::from_utf8_lossy(&printed)
    );
}
