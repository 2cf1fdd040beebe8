//! What the documents point at is there.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// Text and target of every link to a file of the repository.
fn links(document: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (at, _) in document.match_indices("](") {
        let text = document[..at].rsplit('[').next().unwrap();
        let target = document[at + 2..].split(')').next().unwrap();
        if !target.contains("://") {
            links.push((text, target.split('#').next().unwrap()));
        }
    }
    links
}

#[test]
fn every_link_leads_to_a_file_and_every_test_that_is_named_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = 0;
    for document in ["README.md", ".github/SECURITY.md"] {
        let path = root.join(document);
        let text = fs::read_to_string(&path).unwrap();
        for (name, target) in links(&text) {
            let file = path.parent().unwrap().join(target);
            assert!(file.exists(), "{document}: {target}");
            // The name of a function stands in code quotes.
            let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
                continue;
            };
            let source = fs::read_to_string(&file).unwrap();
            assert!(
                source.contains(&format!("fn {name}(")),
                "{document}: {name} is not in {target}"
            );
            tests += 1;
        }
    }
    assert!(tests > 10, "{tests}");
}
