//! Redaction of URLs in text.

use std::borrow::Cow;

use url::Url;

use super::secrets::REDACTED;
use crate::url_guard::{MAX_URL_BYTES, is_scheme, is_scheme_byte};

/// Removes query, fragment and user information from one URL.
pub(super) fn strip_url(url: &str) -> String {
    let cut = url.find(['?', '#']);
    let (kept, dropped) = url.split_at(cut.unwrap_or(url.len()));
    let (scheme, rest) = split_scheme(kept);
    // If the text cannot be parsed, the end of the authority is unknown, and any `@` may end a password. The same holds if
    // it contains another URL, which may have user information of its own.
    let is_clear = url.len() <= MAX_URL_BYTES && !rest.contains("://") && Url::parse(url).is_ok();
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let authority_end = match is_clear {
        true => rest.find(is_slash).unwrap_or(rest.len()),
        false => rest.len(),
    };
    if let Some(at) = rest[..authority_end].rfind('@') {
        // Without a host after the user, the path would be read as a host, and its `@` as the end of another user.
        let is_hostless = rest[at + 1..].starts_with(is_slash);
        let at = if is_hostless { rest.rfind('@').unwrap_or(at) } else { at };
        // In JSON text a lone backslash before the user belongs to the user's first letter (`\n`).
        let backslashes = scheme.len() - scheme.trim_end_matches('\\').len();
        let scheme = &scheme[..scheme.len() - backslashes % 2];
        return format!("{scheme}{}", &rest[at + 1..]);
    }
    if !is_clear && dropped.contains('@') {
        return format!("{scheme}{REDACTED}");
    }
    kept.to_owned()
}

/// Splits off `https://`, with any number of slashes.
fn split_scheme(url: &str) -> (&str, &str) {
    let scheme_end = url
        .find(':')
        .filter(|end| is_scheme(&url[..*end]))
        .map_or(0, |end| end + 1);
    let slashes = url[scheme_end..]
        .bytes()
        .take_while(|byte| matches!(byte, b'/' | b'\\'))
        .count();
    url.split_at(scheme_end + slashes)
}

/// Redacts each URL of a text. A URL ends at white space, a quote or an angle bracket, or where the next URL of a list starts.
pub(super) fn strip_urls(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    // Computed once for all URLs of a list, which may be long.
    let mut word_end = 0;
    while let Some(start) = next_url(text, done) {
        if start >= word_end {
            let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
            word_end = text[start..].find(ends).map_or(text.len(), |length| start + length);
        }
        let end = next_listed_url(text, start, word_end).unwrap_or(word_end);
        // Punctuation at the end belongs to the sentence; a backslash there to a quote in JSON text.
        let url = text[start..end].trim_end_matches(['.', ',', ';', ':', '!', ')', ']', '}', '\'', '\\', '|']);
        out.push_str(&text[done..start]);
        out.push_str(&strip_url(url));
        out.push_str(&text[start + url.len()..end]);
        done = end;
        // A path with spaces: its query is in a later word.
        if end == word_end
            && !url.contains(['?', '#'])
            && let Some((from, to)) = query_behind_spaces(text, end)
        {
            out.push_str(&text[end..from]);
            done = to;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Limits the search for the query of a URL whose path has spaces, in bytes. File names are shorter.
const SPACED_PATH_BYTES: usize = 512;

/// Returns the range of a query (`?name=`) that may belong to the URL that ends at the space at `end`.
fn query_behind_spaces(text: &str, end: usize) -> Option<(usize, usize)> {
    let rest = text[end..].strip_prefix(' ').map(|_| &text[end..])?;
    let rest = &rest[..rest.floor_char_boundary(SPACED_PATH_BYTES)];
    let ends = |c: char| c.is_control() || matches!(c, '"' | '<' | '>' | '`');
    let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
    // The next URL has its own query.
    let rest = rest.split("://").next().unwrap_or(rest);
    let from = end + rest.find('?')?;
    let to = text[from..]
        .find(|c: char| c.is_whitespace() || ends(c))
        .map_or(text.len(), |length| from + length);
    text[from..to].contains('=').then_some((from, to))
}

/// Returns the start of the next `scheme://` at or after `from`.
fn next_url(text: &str, from: usize) -> Option<usize> {
    text[from..].match_indices(':').find_map(|(colon, _)| {
        let before = &text[from..from + colon];
        let scheme_bytes = before.bytes().rev().take_while(is_scheme_byte).count();
        let scheme = &before[before.len() - scheme_bytes..];
        let scheme = scheme.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        let start = from + colon - scheme.len();
        begins_url(scheme, &text[from + colon + 1..]).then_some(start)
    })
}

/// Returns the start of the next URL of a list (`a,b`) within `start..end`.
fn next_listed_url(text: &str, start: usize, end: usize) -> Option<usize> {
    let mut separators = text[start..end].match_indices([',', ';', '|']);
    separators.find_map(|(at, _)| {
        let rest = &text[start + at + 1..end];
        // No scheme is longer; without this limit every comma would read the whole rest.
        let scheme_bytes = rest.bytes().take(32).take_while(is_scheme_byte).count();
        let (scheme, behind) = rest.split_at(scheme_bytes);
        let behind_colon = behind.strip_prefix(':')?;
        let begins = is_scheme(scheme) && begins_url(scheme, behind_colon);
        begins.then_some(start + at + 1)
    })
}

/// Whether a URL starts here: a scheme with two slashes of any kind. For http fewer suffice, since parsers accept that.
fn begins_url(scheme: &str, behind_colon: &str) -> bool {
    let slashes = behind_colon
        .bytes()
        .take(2)
        .take_while(|byte| matches!(byte, b'/' | b'\\'))
        .count();
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    !scheme.is_empty() && (slashes == 2 || is_web)
}
