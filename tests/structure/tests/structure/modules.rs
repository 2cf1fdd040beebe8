//! Modules: within a crate, imports make a tree. `pub use` does not count: a re-export is a map, not a use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

use super::{FOLDERS, root, rust_files};

/// The path of a module within its crate.
type Module = Vec<String>;

/// The files of a crate's modules. Test modules do not count.
fn modules(package: &Path) -> BTreeMap<Module, PathBuf> {
    let src = package.join("src");
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
    modules
}

/// The modules that a module refers to.
fn references(module: &Module, modules: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    let text = std::fs::read_to_string(&modules[module]).unwrap();
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", modules[module].display()));
    let mut paths = Paths::default();
    paths.visit_file(&file);
    let mut references = BTreeSet::new();
    for path in paths.0 {
        let mut target = module.clone();
        // A child module may be named without `self::`.
        let is_child = || modules.contains_key(&[&module[..], &path[..1]].concat());
        if !["crate", "self", "super"].contains(&path[0].as_str()) && !is_child() {
            continue;
        }
        for segment in path {
            match segment.as_str() {
                "crate" => target.clear(),
                "self" => {}
                "super" => drop(target.pop()),
                _ => target.push(segment),
            }
        }
        // The path may go on within a module, to one of its items.
        while !modules.contains_key(&target) && target.pop().is_some() {}
        if target != *module {
            references.insert(target);
        }
    }
    references
}

/// Paths in the code that is not for tests.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |condition: syn::Ident| condition == "test";
    let mut conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.any(|attribute| attribute.parse_args().is_ok_and(is_test))
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
            flatten(&item.tree, Vec::new(), &mut self.0);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.0.push(segments);
        }
        visit::visit_path(self, path);
    }
}

fn flatten(tree: &UseTree, mut path: Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(next) => {
            path.push(next.ident.to_string());
            return flatten(&next.tree, path, found);
        }
        UseTree::Group(group) => {
            return group.items.iter().for_each(|tree| flatten(tree, path.clone(), found));
        }
        UseTree::Name(name) => path.push(name.ident.to_string()),
        UseTree::Rename(name) => path.push(name.ident.to_string()),
        UseTree::Glob(_) => {}
    }
    found.push(path);
}

/// Removes what no module refers to and what refers to no module, until only circles and the ways between them are left.
fn keep_circles(references: &mut BTreeMap<Module, BTreeSet<Module>>) {
    let mut before = 0;
    while references.len() != before {
        before = references.len();
        let used: BTreeSet<Module> = references.values().flatten().cloned().collect();
        references.retain(|module, _| used.contains(module));
        let left: BTreeSet<Module> = references.keys().cloned().collect();
        references.retain(|_, uses| {
            uses.retain(|module| left.contains(module));
            !uses.is_empty()
        });
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    let folders = FOLDERS
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    for folder in folders.map(|entry| entry.unwrap().path()) {
        let modules = modules(&folder);
        let mut graph = modules
            .keys()
            .map(|module| (module.clone(), references(module, &modules)))
            .collect();
        keep_circles(&mut graph);
        for (module, uses) in graph {
            let name = |module: &Module| format!("crate::{}", module.join("::"));
            let uses: Vec<String> = uses.iter().map(name).collect();
            found.push(format!(
                "{}: {} uses {}",
                folder.display(),
                name(&module),
                uses.join(", ")
            ));
        }
    }
    assert!(
        found.is_empty(),
        "modules that import each other:\n{}",
        found.join("\n")
    );
}

#[test]
fn circles_are_found() {
    let module = |name: &str| vec![name.to_owned()];
    let mut graph = BTreeMap::<Module, BTreeSet<Module>>::new();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e")] {
        graph.entry(module(from)).or_default().insert(module(to));
    }
    keep_circles(&mut graph);
    assert!(graph.into_keys().eq([module("b"), module("c")]));
}
