//! Redaction of JSON, as text and as a value: the same rules for each string.

use std::collections::HashMap;

use serde_json::Value;

use super::secrets::{REDACTED, is_secret_name};
use super::text::redact_text;
use crate::json::surrogates;

/// Redacts every string of a JSON text, names included; all else stays byte for byte the same.
///
/// The text need not be valid JSON: text in quotes counts as a string, and an unclosed quote ends with the text.
#[must_use]
pub fn redact_json_text(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut field = None;
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (between, literal) = rest.split_at(start);
        out.push_str(between);
        let (literal, behind) = literal.split_at(literal_bytes(literal));
        let is_name = behind.trim_start().starts_with(':');
        // A value follows its name directly: no other string, bracket or comma is between them.
        let name: Option<String> = field.take().filter(|_| !is_name && between.trim() == ":");
        let content = content(literal);
        let public = redact_string(name.as_deref(), &content);
        if public == content {
            out.push_str(literal);
        } else {
            // Serializing a string cannot fail.
            out.push_str(&serde_json::to_string(&public).unwrap_or_default());
        }
        if is_name {
            field = Some(content);
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Redacts every string of a JSON value, as [`redact_json_text`] does.
///
/// Members whose names become equal are all kept: the later ones get a number in front of their name.
pub fn redact_json(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact_string(None, text),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) => *text = redact_string(Some(name), text),
                    value => redact_json(value),
                }
            }
            let is_secret = |name: &&String| redact_text(name) != **name;
            let secret_names: Vec<String> = fields.keys().filter(is_secret).cloned().collect();
            let mut seen: HashMap<String, u64> = HashMap::new();
            for name in secret_names {
                if let Some(value) = fields.remove(&name) {
                    let public = redact_text(&name);
                    let count = seen.entry(public.clone()).or_insert(1);
                    let mut free = public.clone();
                    // The count continues for each name, so that thousands of equal names take linear time. The number is in
                    // front, since a name may end in a secret, of which a number behind it would become a part.
                    while fields.contains_key(&free) {
                        *count += 1;
                        free = format!("({count}) {public}");
                    }
                    fields.insert(free, value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Redacts one string. The whole text of a field with a secret's name (`"client_secret"`) is replaced.
fn redact_string(field: Option<&str>, text: &str) -> String {
    match field {
        Some(name) if !text.is_empty() && is_secret_name(name) => REDACTED.to_owned(),
        _ => redact_text(text),
    }
}

/// Returns the length of the string literal that begins the text, quotes included.
fn literal_bytes(text: &str) -> usize {
    let mut is_escaped = false;
    let inner = text.bytes().enumerate().skip(1);
    for (at, byte) in inner {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the content of a string literal; an invalid one as it is written.
fn content(literal: &str) -> String {
    let plain = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match plain {
        Some(plain) if !plain.contains('\\') => plain.to_owned(),
        _ => serde_json::from_str(&surrogates::without_lone_ones(literal)).unwrap_or_else(|_| literal.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_secrets_change() {
        let table = r#"
            { "n" : 1.0e2, "big":123456789012345678901 ,"u":"https://h/a.pdf?sig=PLANTED","t":"\ud83d" } → { "n" : 1.0e2, "big":123456789012345678901 ,"u":"https://h/a.pdf","t":"\ud83d" }
            {"client_secret" : "PLANTED", "a":"\u0041"} → {"client_secret" : "[redacted]", "a":"\u0041"}
            {"token":["PLANTED"],"token":""} → {"token":["PLANTED"],"token":""}
            {"https://h/a?sig=PLANTED":1} → {"https://h/a":1}
            {"data":"{\"u\":\"https://h/a?b=PLANTED\"}"} → {"data":"{\"u\":\"https://h/a\"}"}
            ["a\"b", "c"] → ["a\"b", "c"]
        "#;
        for line in table.trim().lines() {
            let (json, public) = line.trim().split_once(" → ").unwrap();
            assert_eq!(redact_json_text(json), public);
        }
        assert!(!redact_json_text(r#""https://h/a?PLANTED"#).contains("PLANTED"));
    }

    proptest! {
        #[test]
        fn text_and_value_are_redacted_alike(text in "[a-z?=&:/\\\\\" ]{0,30}", name in "(sig|a|https://h/x\\?b)") {
            let value = serde_json::json!({name: text, "list": [text, 1]});
            let mut tree = value.clone();
            redact_json(&mut tree);
            let read: Value = serde_json::from_str(&redact_json_text(&value.to_string())).unwrap();
            prop_assert_eq!(read, tree);
        }
    }
}
