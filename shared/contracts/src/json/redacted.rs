//! A JSON text without its secrets, and otherwise byte for byte as it is written.

use super::surrogates;
use crate::redaction::{REDACTED, is_secret_name, redact_text};

/// Returns the text with every string, names included, as [`redact_text`] has it; the text of a field with a secret's
/// name (`"client_secret"`) goes whole. Strings without a secret, numbers, white space and order stay as they are.
///
/// The text need not be JSON: whatever stands in quotes is taken for a string, and a quote that is not closed ends with
/// the text.
#[must_use]
pub fn redacted(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut secret_name = false;
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (between, literal) = rest.split_at(start);
        out.push_str(between);
        let (literal, behind) = literal.split_at(literal_bytes(literal));
        let is_name = behind.trim_start().starts_with(':');
        // The value directly behind its name: no other string, bracket or comma between them.
        let is_secret = std::mem::take(&mut secret_name) && between.trim() == ":";
        let content = content(literal);
        if is_name {
            secret_name = is_secret_name(&content);
        }
        let public = match is_secret && !is_name && !content.is_empty() {
            true => REDACTED.to_owned(),
            false => redact_text(&content),
        };
        if public == content {
            out.push_str(literal);
        } else {
            // A string is always written.
            out.push_str(&serde_json::to_string(&public).unwrap_or_default());
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The bytes of the literal that begins the text, quotes included.
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

/// What a literal stands for; one that is none, as it is written.
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
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_secrets_change() {
        for (json, public) in [
            (
                r#"{ "n" : 1.0e2, "big":123456789012345678901 ,"u":"https://h/a.pdf?sig=PLANTED","t":"\ud83d" }"#,
                r#"{ "n" : 1.0e2, "big":123456789012345678901 ,"u":"https://h/a.pdf","t":"\ud83d" }"#,
            ),
            (
                r#"{"client_secret" : "PLANTED", "a":"\u0041"}"#,
                r#"{"client_secret" : "[redacted]", "a":"\u0041"}"#,
            ),
            (
                r#"{"token":["PLANTED"],"token":""}"#,
                r#"{"token":["PLANTED"],"token":""}"#,
            ),
            (r#"{"https://h/a?sig=PLANTED":1}"#, r#"{"https://h/a":1}"#),
            (
                r#"{"data":"{\"u\":\"https://h/a?b=PLANTED\"}"}"#,
                r#"{"data":"{\"u\":\"https://h/a\"}"}"#,
            ),
            (r#"["a\"b", "c"]"#, r#"["a\"b", "c"]"#),
            (r#""https://h/a?PLANTED"#, r#"""#),
        ] {
            let found = redacted(json);
            if public == "\"" {
                assert!(!found.contains("PLANTED"), "{found}");
            } else {
                assert_eq!(found, public);
            }
        }
    }

    proptest! {
        #[test]
        fn it_says_the_same_as_the_redacted_tree(text in "[a-z?=&:/\\\\\" ]{0,30}", name in "(sig|a|https://h/x\\?b)") {
            let value = serde_json::json!({name: text, "list": [text, 1]});
            let mut tree = value.clone();
            crate::redaction::redact_json(&mut tree);
            let read: Value = serde_json::from_str(&redacted(&value.to_string())).unwrap();
            prop_assert_eq!(read, tree);
        }
    }
}
