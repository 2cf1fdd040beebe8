//! A search of the whole event for content that no field reads: URLs in other places, and repeated names.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::value::RawValue;

use crate::json::{Kind, Object, string};
use crate::redaction::redact_text;

/// Limits the number of paths of each sort.
const MAX_PATHS: usize = 100;
/// Limits nesting. Each level is parsed once more for the next one.
const MAX_DEPTH: usize = 64;
/// Limits the length of a path in characters.
const MAX_PATH_CHARS: usize = 200;
/// Most names of an object that are compared one by one, which needs neither hashes nor a table.
const FEW_NAMES: usize = 16;

/// The findings by JSON path; the index of a list is `[*]`. Paths are redacted and at most 200 characters long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Paths of http(s) URLs, with the URLs.
    urls: BTreeMap<String, Vec<String>>,
    /// Names that occur more than once in their object.
    repeated: BTreeSet<String>,
}

impl Survey {
    /// Returns the paths of texts with an http(s) URL that is not one of these.
    pub(super) fn urls_other_than(&self, known: &[String]) -> Vec<String> {
        if self.urls.is_empty() {
            return Vec::new();
        }
        let known: HashSet<&String> = known.iter().collect();
        let others = self
            .urls
            .iter()
            .filter(|(_, urls)| !urls.iter().all(|url| known.contains(url)));
        others.map(|(path, _)| path.clone()).collect()
    }

    /// Returns the paths of names that occur more than once in their object.
    pub(super) fn repeated_names(&self) -> impl Iterator<Item = &str> {
        self.repeated.iter().map(String::as_str)
    }

    fn found_urls(&mut self, path: &str, text: &str) {
        for url in urls_in(text) {
            let path = shown(path);
            if self.urls.len() < MAX_PATHS || self.urls.contains_key(&path) {
                self.urls.entry(path).or_default().push(url.to_owned());
            }
        }
    }

    fn found_repeated(&mut self, path: &str) {
        let path = shown(path);
        if self.repeated.len() < MAX_PATHS {
            self.repeated.insert(path);
        }
    }
}

/// Adds the findings in an object at `path` to `found`. The values in `skipped` are left out: the caller has read them.
///
/// # Errors
/// If a value is nested too deep.
pub(super) fn survey(object: &Object<'_>, path: &str, skipped: &[&RawValue], found: &mut Survey) -> Result<(), String> {
    let mut current = String::with_capacity(MAX_PATH_CHARS);
    current.push_str(path);
    members(object, &mut current, skipped, MAX_DEPTH, found)
}

fn members(
    object: &Object<'_>,
    path: &mut String,
    skipped: &[&RawValue],
    depth: usize,
    found: &mut Survey,
) -> Result<(), String> {
    let length = path.len();
    let has_few = object.members().len() <= FEW_NAMES;
    let mut names = HashSet::new();
    for (index, (name, member)) in object.members().enumerate() {
        path.push('.');
        path.push_str(name);
        let is_repeated = match has_few {
            true => object.members().take(index).any(|(earlier, _)| earlier == name),
            false => !names.insert(name),
        };
        if is_repeated {
            found.found_repeated(path);
        }
        found.found_urls(path, name);
        if !skipped.iter().any(|skipped| std::ptr::eq(*skipped, member)) {
            value(member, path, depth, found)?;
        }
        path.truncate(length);
    }
    Ok(())
}

fn value(one: &RawValue, path: &mut String, depth: usize, found: &mut Survey) -> Result<(), String> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
    };
    let written = one.get();
    match Kind::of(one) {
        Kind::Object => members(&Object::parse(written).unwrap_or_default(), path, &[], deeper, found)?,
        Kind::List => {
            let length = path.len();
            path.push_str("[*]");
            let items: Vec<&RawValue> = serde_json::from_str(written).unwrap_or_default();
            for item in items {
                value(item, path, deeper, found)?;
            }
            path.truncate(length);
        }
        // Most strings hold no URL, and are not unescaped.
        Kind::String if written.contains([':', '\\']) => found.found_urls(path, &string(one).unwrap_or_default()),
        Kind::String | Kind::Null | Kind::Boolean | Kind::Number => {}
    }
    Ok(())
}

/// Returns the http(s) URLs in a text: the text itself if it starts as one, else each up to white space, a quote or an angle
/// bracket.
fn urls_in(text: &str) -> Vec<&str> {
    if !text.contains(':') {
        return Vec::new();
    }
    let text = text.trim();
    let mut starts = text.match_indices("://").filter_map(|(at, _)| url_start(text, at));
    let Some(first) = starts.next() else {
        return Vec::new();
    };
    if first == 0 {
        return vec![text];
    }
    let cut = |start: usize| {
        let url = &text[start..];
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'));
        &url[..end.unwrap_or(url.len())]
    };
    std::iter::once(first).chain(starts).map(cut).collect()
}

/// Returns the start of the `http` or `https` that ends at `end`.
fn url_start(text: &str, end: usize) -> Option<usize> {
    ["https", "http"].into_iter().find_map(|scheme| {
        let start = end.checked_sub(scheme.len())?;
        text.get(start..end)?.eq_ignore_ascii_case(scheme).then_some(start)
    })
}

fn shown(path: &str) -> String {
    redact_text(path).chars().take(MAX_PATH_CHARS).collect()
}
