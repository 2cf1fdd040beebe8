//! Prepares texts of servers and tools for error messages: short, on one line, without secrets.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use xact_contracts::redaction::redact_text;

/// Enough for Entra's first sentence; trace ids and links follow it.
const MAX_CHARS: usize = 300;
/// Length from which a random word is treated as a token. A GUID has 36 characters.
const MIN_TOKEN_CHARS: usize = 40;

/// Returns `text`, shortened, without `secrets` (which a server may echo as they are or in their form encoding) and without
/// words that may be tokens.
pub(crate) fn scrub(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        // As in application/x-www-form-urlencoded.
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for spelling in [*secret, &encoded, &form] {
            text = text.replace(spelling, "[redacted]");
        }
    }
    let text = redact_text(&without_tokens(&text));
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= MAX_CHARS {
        return line;
    }
    line.chars().take(MAX_CHARS - 3).chain("...".chars()).collect()
}

/// Removes JWTs and other long random words.
fn without_tokens(text: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "._~+=-".contains(c);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_token) {
        let end = rest[start..]
            .find(|c| !is_of_token(c))
            .map_or(rest.len(), |end| start + end);
        let word = &rest[start..end];
        let is_random = word.chars().any(|c| c.is_ascii_digit())
            && word.chars().any(|c| c.is_ascii_uppercase())
            && word.chars().any(|c| c.is_ascii_lowercase());
        let is_token = word.len() >= MIN_TOKEN_CHARS && is_random;
        clean.push_str(&rest[..start]);
        clean.push_str(if is_token { "[redacted]" } else { word });
        rest = &rest[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn secrets_are_removed_in_every_encoding() {
        let secret = "pla~nt/ed +1&x";
        for echoed in [
            "sent pla~nt/ed +1&x.",
            "sent client_secret=pla%7Ent%2Fed+%2B1%26x&scope=y",
            "sent pla%7Ent%2Fed%20%2B1%26x.",
        ] {
            let clean = scrub(echoed, &[secret]);
            assert!(!clean.contains("nt/ed") && !clean.contains("ent%2Fed"), "{clean}");
        }
    }

    #[test]
    fn tokens_are_removed_and_guids_are_kept() {
        let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJvaWQiOiI3ZDNjOGYwZSJ9.c2lnbmF0dXJl";
        assert_eq!(scrub(&format!("got <{token}>"), &[]), "got <[redacted]>");
        let entra = "AADSTS90002: Tenant '7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11' not found.";
        assert_eq!(scrub(entra, &[]), entra);
    }

    #[test]
    fn a_text_is_one_line_and_short() {
        let clean = scrub(&"two\r\nlines \u{1b}[31m ".repeat(100), &[]);
        assert!(clean.chars().count() <= 300 && clean.ends_with("..."));
        assert!(!clean.contains(['\r', '\n', '\u{1b}']));
    }
}
