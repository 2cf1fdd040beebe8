//! The files of the project that no compiler reads: licence, changelog, owners, dependency updates, templates.

use crate::{path, text};

/// Returns a value of `[workspace.package]`.
fn package(name: &str) -> String {
    let manifest = text("Cargo.toml");
    let line = format!("\n{name} = \"");
    let (_, rest) = manifest.split_once(&line).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_licence_is_that_of_the_manifest() {
    assert_eq!(package("license"), "MIT");
    assert!(text("LICENSE").starts_with("MIT License\n"));
    assert!(text("Dockerfile").contains("org.opencontainers.image.licenses=\"MIT\""));
}

#[test]
fn the_changelog_has_a_section_for_the_version_that_the_next_tag_releases() {
    let changelog = text("CHANGELOG.md");
    assert!(changelog.contains("\n## [Unreleased]\n"));
    let version = package("version");
    let section = changelog.split(&format!("\n## [{version}]")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    assert!(section.lines().any(|line| line.starts_with("- ")), "{version}");
}

#[test]
fn every_kind_of_dependency_is_updated_in_groups() {
    let file = text(".github/dependabot.yml");
    let updates: Vec<&str> = file.split("  - package-ecosystem: ").skip(1).collect();
    for kind in ["cargo", "github-actions", "docker", "docker-compose", "npm", "pip"] {
        assert!(
            updates.iter().any(|update| update.starts_with(&format!("{kind}\n"))),
            "{kind}"
        );
    }
    for update in updates {
        for part in ["\n    groups:\n", "\n    cooldown: ", "interval: weekly"] {
            assert!(update.contains(part), "{part}: {update}");
        }
        let folders = update.lines().find_map(|line| {
            let (key, folders) = line.trim().split_once(": ")?;
            ["directory", "directories"].contains(&key).then_some(folders)
        });
        for folder in folders.unwrap().trim_matches(['[', ']']).split(", ") {
            assert!(path(&folder[1..]).is_dir(), "{folder}");
        }
    }
}

#[test]
fn owners_have_folders_that_exist() {
    for line in text(".github/CODEOWNERS").lines().filter(|line| line.starts_with('/')) {
        let (folder, owners) = line.split_once(' ').unwrap();
        assert!(path(&folder[1..]).exists(), "{folder}");
        assert!(owners.trim().starts_with('@'), "{line}");
    }
}

#[test]
fn links_of_the_pages_for_contributors_resolve() {
    for (file, folder) in [(".github/CONTRIBUTING.md", ".github"), ("CHANGELOG.md", "")] {
        let page = text(file);
        let mut links = 0;
        for (at, _) in page.match_indices("](") {
            let target = page[at + 2..].split([')', '#']).next().unwrap();
            if !target.contains("://") {
                assert!(path(folder).join(target).exists(), "{file}: {target}");
                links += 1;
            }
        }
        assert!(links > 0, "{file}");
    }
}
