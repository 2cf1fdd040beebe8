//! The list of attachments: the outermost valid one.

use std::collections::HashSet;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{self, Kind, Object};

const NAME: &[&str] = &["attachments"];

/// Returns the attachments of an event, and the value that they were read from.
///
/// An outer list takes precedence over an inner one. Null, an empty list and a blank string give way to the next candidate,
/// and so does a value that is not a list. If there is no other, that value counts after all, and the URL rules refuse
/// and report it.
pub(super) fn of<'a>(outer: &Object<'a>, inner: &[Object<'a>]) -> (Vec<String>, Option<&'a RawValue>) {
    let mut invalid = None;
    let all = std::iter::once(outer).chain(inner);
    for value in all.flat_map(|object| object.all(NAME)) {
        match Kind::of(value) {
            Kind::Null => {}
            Kind::List => {
                let entries: Vec<Value> = json::read(value).unwrap_or_default();
                if entries.iter().any(is_something) {
                    return (texts(entries), Some(value));
                }
                if !entries.is_empty() {
                    invalid.get_or_insert_with(|| (texts(entries), value));
                }
            }
            Kind::String => {
                if let Some(text) = json::text_of(value) {
                    return (vec![text], Some(value));
                }
            }
            Kind::Boolean | Kind::Number | Kind::Object => {
                let entry: Value = json::read(value).unwrap_or_default();
                invalid.get_or_insert_with(|| (texts(vec![entry]), value));
            }
        }
    }
    invalid.map_or_else(Default::default, |(texts, value)| (texts, Some(value)))
}

fn is_something(entry: &Value) -> bool {
    match entry {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Returns each entry once: a string trimmed, anything else as its JSON text.
fn texts(entries: Vec<Value>) -> Vec<String> {
    let texts = entries.into_iter().map(|entry| match entry {
        Value::String(text) if !text.trim().is_empty() => trimmed(text),
        other => other.to_string(),
    });
    if texts.len() < 2 {
        return texts.collect();
    }
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

fn trimmed(text: String) -> String {
    match text.trim() {
        trimmed if trimmed.len() == text.len() => text,
        trimmed => trimmed.to_owned(),
    }
}
