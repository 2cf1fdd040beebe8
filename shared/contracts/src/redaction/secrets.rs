//! Named secrets in text (`sig=…`, `Bearer …`), in any position and with any escaping.

use std::borrow::Cow;
use std::ops::Range;

/// Replaces a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Names whose values are secret, in lower case. A longer name that ends in one of them after a `-` or `_` counts as well:
/// `X-Amz-Signature`, `AZURE_CLIENT_SECRET`, `access_token`.
const SECRET_NAMES: [&str; 20] = [
    "sig",
    "signature",
    "signatureprovided",
    "credential",
    "awsaccesskeyid",
    "secretaccesskey",
    "secret_access_key",
    "sharedaccesskey",
    "sharedaccesssignature",
    "accountkey",
    "secret",
    "clientsecret",
    "client_assertion",
    "token",
    "accesstoken",
    "password",
    "passwd",
    "pwd",
    "apikey",
    "api_key",
];

/// Whether a JSON field of that name holds a secret, by the names of [`scrub_secrets`] and also in camel case (`sasToken`).
pub(super) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut names_before = SECRET_NAMES.iter().filter_map(|secret| lower.strip_suffix(secret));
    names_before.any(|before| {
        let is_hump = name.as_bytes()[before.len()].is_ascii_uppercase() && before.ends_with(char::is_lowercase);
        is_hump || begins_word(before)
    })
}

/// Replaces the token in `Bearer abc`.
pub(super) fn scrub_bearer(text: &str) -> Cow<'_, str> {
    const WORD: &str = "bearer";
    // Most texts hold no secret and are not copied.
    if !text
        .as_bytes()
        .windows(WORD.len())
        .any(|word| word.eq_ignore_ascii_case(WORD.as_bytes()))
    {
        return Cow::Borrowed(text);
    }
    let lower = text.to_ascii_lowercase();
    let token_behind = |word_end: usize| {
        let token = lower[word_end..].trim_start_matches([' ', '\t']);
        let start = text.len() - token.len();
        if start == word_end {
            return None;
        }
        let token = &token[..unquoted_length(token)];
        // `Bearer Bearer abc`: the second word is not the token.
        let secret = token.strip_suffix(WORD).unwrap_or(token);
        (!secret.is_empty()).then_some(start..start + secret.len())
    };
    replaced(text, |from| {
        let mut words = lower[from..].match_indices(WORD);
        words.find_map(|(at, _)| token_behind(from + at + WORD.len()))
    })
}

/// Replaces the value in `sig=abc`, for every name of [`SECRET_NAMES`].
pub(super) fn scrub_secrets(text: &str) -> Cow<'_, str> {
    if !text
        .bytes()
        .any(|byte| matches!(byte, b'=' | b':' | b'%' | b'\\' | b'>'))
    {
        return Cow::Borrowed(text);
    }
    let lower = text.to_ascii_lowercase();
    let is_first_letter = |at: &usize| matches!(lower.as_bytes()[*at], b's' | b'c' | b'a' | b't' | b'p');
    replaced(text, |from| {
        let mut starts = (from..text.len()).filter(is_first_letter);
        starts.find_map(|at| secret_value(&lower, at))
    })
}

/// Replaces each secret, from left to right; `next_secret` returns the first range at or after a position.
fn replaced(text: &str, next_secret: impl Fn(usize) -> Option<Range<usize>>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    while let Some(secret) = next_secret(done) {
        out.push_str(&text[done..secret.start]);
        out.push_str(REDACTED);
        done = secret.end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Returns the range of a secret's value if its name starts at `at`.
fn secret_value(lower: &str, at: usize) -> Option<Range<usize>> {
    if !begins_word(&lower[..at]) {
        return None;
    }
    SECRET_NAMES.iter().find_map(|name| {
        let rest = lower[at..].strip_prefix(name)?;
        let (separator, quote) = separator(rest)?;
        let start = at + name.len() + separator;
        let length = match quote {
            Some(quote) => quoted_length(&lower[start..], quote),
            None => unquoted_length(&lower[start..]),
        };
        (length > 0).then_some(start..start + length)
    })
}

/// Whether a name may start after `before`: not inside a word, but after `%26`, `%2526` or `\u0026`.
fn begins_word(before: &str) -> bool {
    let escaped = before
        .len()
        .checked_sub(2)
        .and_then(|end| before.get(..end))
        .is_some_and(|start| ["%", "%25", "\\u00"].iter().any(|escape| start.ends_with(escape)));
    escaped || !before.ends_with(char::is_alphanumeric)
}

/// Returns the length of the separator between a name and its value, and the quote of the value. Separators are `=`, plain,
/// percent-encoded once or twice, or escaped as in JSON; `": "` of JSON; `>` of XML.
fn separator(rest: &str) -> Option<(usize, Option<Quote>)> {
    for plain in ["%3d", "%253d", "\\u003d", ">"] {
        if rest.starts_with(plain) {
            return Some((plain.len(), None));
        }
    }
    let behind_name = rest.trim_start_matches(['\\', '"', '\'']);
    let is_field = behind_name.len() < rest.len();
    let behind = behind_name.trim_start_matches(' ');
    let value = behind
        .strip_prefix('=')
        .or_else(|| behind.strip_prefix(':').filter(|_| is_field))?;
    let value = value.trim_start_matches(' ');
    let quoted = value.trim_start_matches('\\');
    let quote = match quoted.chars().next() {
        Some('"') if quoted.len() == value.len() => Some(Quote::Double),
        Some('"') => Some(Quote::EscapedDouble),
        Some('\'') => Some(Quote::Single),
        _ => None,
    };
    // Without a quote it may be any JSON value, and `sig="` may end the surrounding string.
    let opens =
        |quote: &Quote| is_field || *quote == Quote::Single || quoted[1..].starts_with(|c: char| c.is_alphanumeric());
    match quote.filter(opens) {
        Some(quote) => Some((rest.len() - quoted.len() + 1, Some(quote))),
        None if is_field => None,
        None => Some((rest.len() - value.len(), None)),
    }
}

/// The quote of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    /// `"`
    Double,
    /// `\"`: JSON inside a JSON string.
    EscapedDouble,
    /// `'`
    Single,
}

fn quoted_length(value: &str, quote: Quote) -> usize {
    let mut escaped = false;
    let end = value.find(|c: char| match (quote, c) {
        (Quote::Double, _) if escaped => {
            escaped = false;
            false
        }
        (Quote::Double, '\\') => {
            escaped = true;
            false
        }
        (_, '"') | (Quote::EscapedDouble | Quote::Single, '\\') | (Quote::Single, '\'') => true,
        _ => false,
    });
    end.unwrap_or(value.len())
}

/// Returns the length of a value without quotes: up to the next separator of a query, connection string, header or markup.
fn unquoted_length(value: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | '<' | '>');
    let end = value.find(ends).unwrap_or(value.len());
    // Backslashes before a quote belong to it (JSON text).
    match value[end..].starts_with('"') {
        true => value[..end].trim_end_matches('\\').len(),
        false => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_starts_with_a_letter_that_is_searched_for() {
        for name in SECRET_NAMES {
            let text = format!("{}=a", name.to_uppercase());
            assert!(scrub_secrets(&text).ends_with(REDACTED), "{name}");
        }
    }

    #[test]
    fn a_field_is_secret_by_the_end_of_its_name() {
        for name in "sig X-Amz-Signature client_secret clientSecret sasToken Password".split(' ') {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "design", "tokens", "signature_count", "secretary", "xsig"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
