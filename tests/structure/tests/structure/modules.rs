//! Modules: within a crate, imports make a tree. `pub use` does not count: a re-export is a map, not a use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

use super::{circles, root, rust_files};

/// The path of a module within its crate.
type Module = Vec<String>;

/// The modules of one crate with their files. Test modules do not count.
struct Crate {
    modules: BTreeMap<Module, PathBuf>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let src = folder.join("src");
        let mut modules = BTreeMap::new();
        for file in rust_files(&src) {
            let relative = file.strip_prefix(&src).unwrap().with_extension("");
            let mut module: Module = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if matches!(module.last().map(String::as_str), Some("lib" | "main" | "mod")) {
                module.pop();
            }
            if !module.iter().any(|part| part == "tests") {
                modules.insert(module, file);
            }
        }
        Self { modules }
    }

    /// The module that a path leads to: the deepest one of which the path's beginning is the name.
    fn module_of(&self, path: &[String]) -> Module {
        (0..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|module| self.modules.contains_key(module))
            .unwrap_or_default()
    }

    /// The modules that a module refers to.
    fn references(&self, module: &Module) -> BTreeSet<Module> {
        let text = std::fs::read_to_string(&self.modules[module]).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", self.modules[module].display()));
        let mut paths = Paths::default();
        paths.visit_file(&file);
        let mut references = BTreeSet::new();
        for mut path in paths.found {
            let mut base = match path[0].as_str() {
                "crate" => Module::new(),
                "self" | "super" => module.clone(),
                // A child module may be named without `self::`.
                child => {
                    let mut child_module = module.clone();
                    child_module.push(child.to_owned());
                    if !self.modules.contains_key(&child_module) {
                        continue;
                    }
                    path.insert(0, "self".to_owned());
                    module.clone()
                }
            };
            while path.first().is_some_and(|segment| segment == "super") {
                base.pop();
                path.remove(0);
            }
            base.extend(
                path.into_iter()
                    .filter(|segment| segment != "self" && segment != "crate"),
            );
            let target = self.module_of(&base);
            if target != *module {
                references.insert(target);
            }
        }
        references
    }
}

/// Paths in the code that is not for tests.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            flatten(&item.tree, &mut Vec::new(), &mut self.found);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.found.push(segments);
        }
        visit::visit_path(self, path);
    }
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, found);
            }
        }
        UseTree::Name(name) => found.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
        UseTree::Rename(name) => found.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
        UseTree::Glob(_) => found.push(before.clone()),
    }
}

/// Folders of packages.
fn packages() -> Vec<PathBuf> {
    ["shared", "handlers", "infra/emulators", "tests"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("Cargo.toml").is_file() && folder.join("src").is_dir())
        .collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for folder in packages() {
        let package = Crate::read(&folder);
        let modules: Vec<&Module> = package.modules.keys().collect();
        let names: Vec<String> = modules
            .iter()
            .map(|module| format!("crate::{}", module.join("::")))
            .collect();
        let references: Vec<BTreeSet<Module>> = modules.iter().map(|module| package.references(module)).collect();
        let is_edge = |from: usize, to: usize| references[from].contains(modules[to]);
        for circle in circles(&names, is_edge) {
            let edges: Vec<String> = circle
                .iter()
                .flat_map(|&from| circle.iter().map(move |&to| (from, to)))
                .filter(|&(from, to)| is_edge(from, to))
                .map(|(from, to)| format!("  {} uses {}", names[from], names[to]))
                .collect();
            found.push(format!(
                "{}:\n{}",
                folder.strip_prefix(root()).unwrap().display(),
                edges.join("\n")
            ));
        }
    }
    assert!(
        found.is_empty(),
        "modules that import each other:\n{}",
        found.join("\n")
    );
}
