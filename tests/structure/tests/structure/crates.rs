//! Crates: their names, and the one direction of their imports.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::root;

/// The crates of `shared/`, each with those that it may import. Handlers may import all of them except operations.
const SHARED: [(&str, &[&str]); 10] = [
    ("xact-contracts", &[]),
    ("xact-cache", &["xact-contracts"]),
    ("xact-identity", &["xact-contracts"]),
    ("xact-config", &["xact-contracts", "xact-identity"]),
    ("xact-telemetry", &["xact-contracts", "xact-config"]),
    (
        "xact-kafka",
        &["xact-contracts", "xact-identity", "xact-config", "xact-telemetry"],
    ),
    (
        "xact-runtime",
        &["xact-contracts", "xact-config", "xact-telemetry", "xact-kafka"],
    ),
    ("xact-lake", &["xact-contracts", "xact-identity"]),
    (
        "xact-table-sink",
        &[
            "xact-contracts",
            "xact-config",
            "xact-telemetry",
            "xact-kafka",
            "xact-runtime",
            "xact-lake",
        ],
    ),
    (
        "xact-operations",
        &[
            "xact-contracts",
            "xact-cache",
            "xact-identity",
            "xact-config",
            "xact-telemetry",
            "xact-kafka",
            "xact-lake",
            "xact-table-sink",
        ],
    ),
];

/// A package of the workspace.
struct Package {
    name: String,
    /// Relative to the repository.
    folder: String,
    /// Names in code of its dependencies within the workspace that are not for tests alone, with their features.
    imports: Vec<(String, Vec<String>)>,
    renamed: Vec<String>,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let package = |package: &Value| {
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().unwrap().strip_prefix(root()).unwrap();
        let ours: Vec<&Value> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| dependency["path"].is_string())
            .collect();
        Package {
            name: text(&package["name"]),
            folder: folder.to_str().unwrap().to_owned(),
            imports: ours
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| {
                    let features = dependency["features"].as_array().unwrap().iter().map(text).collect();
                    (text(&dependency["name"]), features)
                })
                .collect(),
            renamed: ours
                .iter()
                .filter(|dependency| dependency["rename"].is_string())
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        }
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn a_folder_its_package_and_its_name_in_code_are_one_word() {
    for package in packages() {
        let folder = package.folder.rsplit('/').next().unwrap();
        let is_named = package.name == folder || package.name == format!("xact-{folder}");
        assert!(is_named, "{} holds the package {}", package.folder, package.name);
        assert_eq!(package.renamed, Vec::<String>::new(), "{} renames", package.name);
    }
}

#[test]
fn shared_crates_import_in_one_direction() {
    let packages = packages();
    let mut in_shared: Vec<&str> = Vec::new();
    for package in packages.iter().filter(|package| package.folder.starts_with("shared/")) {
        in_shared.push(&package.name);
        let (_, allowed) = SHARED
            .iter()
            .find(|(name, _)| *name == package.name)
            .unwrap_or_else(|| panic!("{} has no row in SHARED: say what it may import", package.name));
        for (import, _) in &package.imports {
            assert!(allowed.contains(&import.as_str()), "{} imports {import}", package.name);
        }
    }
    assert_eq!(
        in_shared.len(),
        SHARED.len(),
        "SHARED has rows of crates that do not exist"
    );
}

#[test]
fn no_handler_imports_another_and_none_links_what_operators_use() {
    for package in packages() {
        let is_handler = package.folder.starts_with("handlers/") && package.name != "xact-pipeline";
        if !is_handler {
            continue;
        }
        for (import, features) in &package.imports {
            assert!(
                import.starts_with("xact-") && import != "xact-operations" && import != "xact-pipeline",
                "{} imports {import}",
                package.name
            );
            assert!(!features.iter().any(|feature| feature == "admin"), "{}", package.name);
            let writes_tables = ["event-writer", "result-processor"].contains(&package.name.as_str());
            assert!(
                writes_tables || (import != "xact-table-sink" && !features.iter().any(|feature| feature == "delta")),
                "{} links Delta",
                package.name
            );
        }
    }
}

#[test]
fn nothing_imports_the_operators_program() {
    for package in packages() {
        let imports_it = package.imports.iter().any(|(import, _)| import == "xact-pipeline");
        assert!(!imports_it, "{} imports xact-pipeline", package.name);
    }
}
