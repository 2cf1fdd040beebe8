//! The templates: every diagnostic is a failure, since the CLI exits with 0 on most mistakes.

use std::path::PathBuf;

use serde_json::Value;

use crate::cli::{bicep, built, copy_of_templates, templates};

fn files(extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = [templates(), templates().join("modules")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.strip_prefix(templates()).unwrap().to_owned())
        .collect();
    files.sort();
    files
}

#[test]
fn the_linter_reports_nothing() {
    let mut roots = files("bicepparam");
    roots.push("main.bicep".into());
    assert!(roots.len() >= 3, "{roots:?}");
    for file in roots {
        let file = file.to_str().unwrap();
        let output = bicep(&templates(), &["lint", file, "--diagnostics-format=sarif"], &[]);
        let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
        let results = &sarif["runs"][0]["results"];
        assert_eq!(*results, Value::Array(Vec::new()), "{file}");
        assert!(output.status.success(), "{file}");
    }
}

#[test]
fn a_misspelt_property_is_a_diagnostic_although_the_exit_code_is_0() {
    let folder = copy_of_templates();
    let module = folder.path().join("modules/registry.bicep");
    let text = std::fs::read_to_string(&module).unwrap();
    let wrong = text.replace("adminUserEnabled: false", "adminUserEnabeld: false");
    assert_ne!(text, wrong);
    std::fs::write(&module, wrong).unwrap();
    let output = bicep(
        folder.path(),
        &["lint", "main.bicep", "--diagnostics-format=sarif"],
        &[],
    );
    assert!(output.status.success());
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "BCP089");
}

/// Returns the compiled modules by their names in `main.bicep`.
fn modules() -> Vec<(&'static str, &'static Value)> {
    let resources = built()["resources"].as_object().unwrap();
    let modules: Vec<_> = resources
        .iter()
        .filter(|(_, resource)| resource["type"] == "Microsoft.Resources/deployments")
        .map(|(name, resource)| (name.as_str(), &resource["properties"]["template"]))
        .collect();
    assert!(modules.len() >= 10, "{}", modules.len());
    modules
}

#[test]
fn main_reaches_every_module_and_every_parameter_is_described_and_limited() {
    // The linter checks only the modules that main.bicep uses.
    let all: String = files("bicep")
        .iter()
        .map(|file| std::fs::read_to_string(templates().join(file)).unwrap())
        .collect();
    for module in files("bicep") {
        let name = module.file_name().unwrap().to_str().unwrap();
        assert!(
            name == "main.bicep" || all.contains(&format!("{name}'")),
            "nothing uses {name}"
        );
    }
    for (module, template) in modules() {
        for (name, parameter) in template["parameters"].as_object().unwrap() {
            assert!(
                parameter["metadata"]["description"].is_string(),
                "{module}: {name} is not described"
            );
        }
    }
    for (name, parameter) in built()["parameters"].as_object().unwrap() {
        assert!(
            parameter["metadata"]["description"].is_string(),
            "{name} is not described"
        );
        // A user-defined type, or limits: a bare `string` accepts any text.
        let may_be_anything = ["location", "otlpEndpoint"];
        let is_limited = [
            "$ref",
            "allowedValues",
            "minLength",
            "maxLength",
            "minValue",
            "items",
            "properties",
            "additionalProperties",
        ]
        .iter()
        .any(|limit| parameter.get(limit).is_some())
            || ["bool", "securestring"].contains(&parameter["type"].as_str().unwrap_or_default());
        assert!(
            is_limited || may_be_anything.contains(&name.as_str()),
            "{name} takes anything"
        );
    }
}

#[test]
fn every_file_is_formatted() {
    let folder = copy_of_templates();
    let output = bicep(folder.path(), &["format", "--pattern=**/*.bicep*"], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["bicep", "bicepparam"].into_iter().flat_map(files) {
        let current = std::fs::read_to_string(templates().join(&file)).unwrap();
        let formatted = std::fs::read_to_string(folder.path().join(&file)).unwrap();
        assert!(current == formatted, "bicep format bicep/{}", file.display());
    }
}

#[test]
fn a_workspace_that_is_not_a_guid_is_rejected() {
    let arguments = ["build-params", "main.dev.bicepparam", "--stdout"];
    let output = bicep(&templates(), &arguments, &[("XACT_FABRIC_WORKSPACE_ID", "no-guid")]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && printed.contains("BCP333"), "{printed}");
}
