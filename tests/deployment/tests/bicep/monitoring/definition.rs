//! The definitions as JSON, and the files that are made from them.

use std::sync::LazyLock;

use serde_json::Value;

use crate::cli::{bicep, copy_of_templates, root};
use crate::snapshot::{list, text};

static PANELS: LazyLock<Value> = LazyLock::new(|| load("panels.yaml"));
static ALERTS: LazyLock<Value> = LazyLock::new(|| load("alerts.yaml"));

/// Returns a definition as Bicep reads it: the compiled template has the file as a variable.
fn load(file: &str) -> Value {
    let folder = copy_of_templates();
    let template = format!("output definition string = string(loadYamlContent('monitoring/{file}'))\n");
    std::fs::write(folder.path().join("definition.bicep"), template).unwrap();
    let output = bicep(folder.path(), &["build", "definition.bicep", "--stdout"], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built: Value = serde_json::from_slice(&output.stdout).unwrap();
    built["variables"]["$fxv#0"].clone()
}

/// Returns the rows of the dashboard.
pub(super) fn rows() -> &'static [Value] {
    list(&PANELS["rows"])
}

/// Returns the panels of all rows.
pub(super) fn panels() -> impl Iterator<Item = &'static Value> {
    rows().iter().flat_map(|row| list(&row["panels"]))
}

/// Returns the groups of alerts.
pub(super) fn groups() -> &'static [Value] {
    list(&ALERTS["groups"])
}

/// Returns the alerts of all groups.
pub(super) fn alerts() -> impl Iterator<Item = &'static Value> {
    groups().iter().flat_map(|group| list(&group["alerts"]))
}

/// Returns a text of an alert with the values of its placeholders.
pub(super) fn filled(alert: &Value, template: &Value) -> String {
    let threshold = alert["threshold"].as_str().unwrap_or("{threshold}");
    let filled = text(template)
        .replace("{threshold}", threshold)
        .replace("{capacityUnits}", text(&ALERTS["capacityUnits"]));
    assert!(!filled.contains("{threshold}"), "{}: no threshold", alert["name"]);
    filled
}

/// Returns the address of an alert's page and heading.
pub(super) fn runbook(alert: &Value) -> String {
    let [folder, page, name] = [&ALERTS["runbooks"], &alert["runbook"], &alert["name"]].map(text);
    format!("{folder}/{page}#{name}")
}

/// Checks that a file is what is made from the definitions now, or writes it if `WRITE_GENERATED` is set.
pub(super) fn check_generated(path: &str, content: &str) {
    let file = root().join(path);
    if std::env::var_os("WRITE_GENERATED").is_some() {
        std::fs::write(&file, content).unwrap();
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == content,
        "{path} differs from bicep/monitoring: WRITE_GENERATED=1 cargo test -p xact-deployment --test bicep monitoring"
    );
}
