//! Crates: their names, and the one direction of their imports.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::root;

/// The crates of `shared/`, each with those that it may import. Handlers may import all of them except operations.
const SHARED: [(&str, &str); 10] = [
    ("contracts", ""),
    ("cache", "contracts"),
    ("identity", "contracts"),
    ("config", "contracts identity"),
    ("telemetry", "contracts config"),
    ("kafka", "contracts identity config telemetry"),
    ("runtime", "contracts config telemetry kafka"),
    ("lake", "contracts identity"),
    ("table-sink", "contracts config telemetry kafka runtime lake"),
    (
        "operations",
        "contracts cache identity config telemetry kafka lake table-sink",
    ),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Set for a package of the workspace.
    path: Option<PathBuf>,
    /// Set for a dependency of tests alone.
    kind: Option<String>,
    rename: Option<String>,
    features: Vec<String>,
}

impl Package {
    /// Relative to the repository.
    fn folder(&self) -> &str {
        let folder = self.manifest_path.parent().unwrap();
        folder.strip_prefix(root()).unwrap().to_str().unwrap()
    }

    /// The packages of the workspace that it depends on, not counting those for tests alone.
    fn imports(&self) -> impl Iterator<Item = &Dependency> {
        let dependencies = self.dependencies.iter();
        dependencies.filter(|dependency| dependency.path.is_some() && dependency.kind.is_none())
    }
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

#[test]
fn a_folder_its_package_and_its_name_in_code_are_one_word() {
    for package in packages() {
        let (folder, name) = (package.folder(), &package.name);
        let word = folder.rsplit('/').next().unwrap();
        assert!(
            *name == word || *name == format!("xact-{word}"),
            "{folder} holds {name}"
        );
        let mut ours = package.dependencies.iter().filter(|other| other.path.is_some());
        assert!(ours.all(|other| other.rename.is_none()), "{name} renames a dependency");
    }
}

#[test]
fn shared_crates_import_in_one_direction() {
    let packages = packages();
    let shared = packages
        .iter()
        .filter(|package| package.folder().starts_with("shared/"));
    for package in shared.clone() {
        let (_, allowed) = SHARED
            .iter()
            .find(|(name, _)| package.name == format!("xact-{name}"))
            .unwrap_or_else(|| panic!("{} has no row in SHARED: say what it may import", package.name));
        for import in package.imports() {
            let mut allowed = allowed.split(' ').map(|name| format!("xact-{name}"));
            assert!(
                allowed.any(|name| name == import.name),
                "{} imports {}",
                package.name,
                import.name
            );
        }
    }
    assert_eq!(
        shared.count(),
        SHARED.len(),
        "SHARED has rows of crates that do not exist"
    );
}

#[test]
fn no_handler_imports_another_and_none_links_what_operators_use() {
    for package in packages() {
        let is_handler = package.folder().starts_with("handlers/") && package.name != "xact-pipeline";
        for import in package.imports() {
            let (name, import_name) = (&package.name, import.name.as_str());
            assert!(import_name != "xact-pipeline", "{name} imports the operators' program");
            if !is_handler {
                continue;
            }
            let is_shared = import_name.starts_with("xact-") && import_name != "xact-operations";
            assert!(is_shared, "{name} imports {import_name}");
            let has_feature = |wanted: &str| import.features.iter().any(|feature| feature == wanted);
            let links_delta = import_name == "xact-table-sink" || has_feature("delta");
            let writes_tables = ["event-writer", "result-processor"].contains(&name.as_str());
            assert!(writes_tables || !links_delta, "{name} links Delta");
        }
    }
}
