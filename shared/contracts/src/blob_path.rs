//! The path of an attachment in OneLake: `{status_subtype}/{assignment_id}/{trace_id}/{name}`.
//!
//! Every part comes from an untrusted event. The path must stay inside its folder. It must be the same each time the event
//! is handled, so that a redelivered file overwrites itself. It must differ for each attachment of an event, so that two
//! files of one name do not overwrite each other.

use std::borrow::Cow;
use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use url::Url;
use uuid::Uuid;

use crate::file_rules::{split_extension, stored_name};

/// Limits the length of a path component in bytes of UTF-8.
pub const MAX_COMPONENT_BYTES: usize = 200;

/// Replaces a component of which nothing is left.
const EMPTY_COMPONENT: &str = "_";

/// Replaces the file name of a URL that has none.
const UNNAMED_FILE: &str = "attachment";

/// The fields of an event that name its folder and its files.
#[derive(Debug, Clone, Copy)]
pub struct PathParts<'a> {
    /// `documentsReceived`, `firstNoticeOfLossReceived`, …
    pub status_subtype: &'a str,
    /// The assignment that the event belongs to.
    pub assignment_id: &'a str,
    /// The event's trace id.
    pub trace_id: &'a str,
    /// The estimate's version; `None` or blank is written as `unknown`.
    pub estimate_version: Option<&'a str>,
}

/// Returns the path of each attachment, in the order given.
///
/// If two have the same path, regardless of case and Unicode normalisation, the later one gets the first eight digits of its
/// media id before its extension. Attachments with the same media id are one attachment and share a path.
#[must_use]
pub fn blob_paths(parts: &PathParts<'_>, attachments: &[(Uuid, &Url)]) -> Vec<String> {
    let folder = folder(parts);
    if let [(_, url)] = attachments {
        return vec![[&*folder, "/", &file_name(parts, url)].concat()];
    }
    let mut names: HashMap<Uuid, String> = HashMap::new();
    // Folded name → media id. Paths that differ only in case collide when they are copied to Windows or macOS.
    let mut taken: HashMap<String, Uuid> = HashMap::new();
    attachments
        .iter()
        .map(|(media_id, url)| {
            let name = names.entry(*media_id).or_insert_with(|| {
                let free = free_name(&file_name(parts, url), *media_id, &taken);
                taken.insert(folded(&free), *media_id);
                free
            });
            format!("{folder}/{name}")
        })
        .collect()
}

/// Whether [`blob_paths`] may have made `path` for an event of these parts: a file in the event's own folder.
///
/// Verifies the path in a message, which is untrusted.
#[must_use]
pub fn is_own(parts: &PathParts<'_>, path: &str) -> bool {
    path.strip_prefix(&folder(parts))
        .and_then(|name| name.strip_prefix('/'))
        .is_some_and(|name| safe_component(name) == name)
}

fn folder(parts: &PathParts<'_>) -> String {
    let components = [
        safe_component(parts.status_subtype),
        safe_component(parts.assignment_id),
        distinct_component(parts.trace_id),
    ];
    components.join("/")
}

/// Returns `text` as one component of a path: never empty, `.` or `..`, at most [`MAX_COMPONENT_BYTES`], in Unicode
/// normalisation form C, with its extension. The function is idempotent.
///
/// `_` replaces separators, control characters, and what OneLake, its clients or Windows refuse in names
/// ([Azure][names], [Windows][windows]); `#`, `?` and `%` would change the meaning of the request's URL.
///
/// [names]: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
/// [windows]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
#[must_use]
pub fn safe_component(text: &str) -> Cow<'_, str> {
    match is_safe(text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(made_safe(text)),
    }
}

/// Whether [`made_safe`] would change nothing. A few texts that it would not change are not recognised.
fn is_safe(text: &str) -> bool {
    (1..=MAX_COMPONENT_BYTES).contains(&text.len())
        && text.is_ascii()
        && !text.starts_with(' ')
        && !text.ends_with(['.', ' '])
        && !["..", " ."].iter().any(|pair| text.contains(pair))
        && !text.chars().any(is_refused)
        && !is_reserved(text)
}

fn made_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut push = |c| match c {
        // A run of dots becomes one dot, so `..` never remains, not even inside a name.
        '.' if safe.ends_with('.') => {}
        c if is_refused(c) => safe.push('_'),
        c => safe.push(c),
    };
    if text.is_ascii() {
        // Normalised already.
        text.chars().for_each(&mut push);
    } else {
        text.chars().filter(|c| !is_invisible(*c)).nfc().for_each(&mut push);
    }
    let safe = safe.trim_start_matches(' ').trim_end_matches(['.', ' ']);
    let safe = match split_extension(safe) {
        _ if is_reserved(safe) => shortened(&format!("_{safe}"), ""),
        Some((stem, extension)) => shortened(stem, &format!(".{extension}")),
        None => shortened(safe, ""),
    };
    if safe.is_empty() {
        EMPTY_COMPONENT.to_owned()
    } else {
        safe
    }
}

/// Returns a safe component that differs for different texts: a changed text gets a hash.
///
/// Otherwise the trace ids `a/b` and `a_b` would share a folder, and their files would overwrite each other.
fn distinct_component(text: &str) -> Cow<'_, str> {
    let safe = safe_component(text);
    if safe == text && !has_hash(text) {
        return safe;
    }
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string();
    shortened(&safe, &format!("~{}", &hash[..8])).into()
}

/// Whether a text has the form that [`distinct_component`] gives to a changed one.
fn has_hash(text: &str) -> bool {
    text.rsplit_once('~')
        .is_some_and(|(_, hash)| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns the name before collisions are resolved.
fn file_name(parts: &PathParts<'_>, url: &Url) -> String {
    let file = stored_name(url).unwrap_or(Cow::Borrowed(UNNAMED_FILE));
    let middle = match parts.status_subtype {
        "firstNoticeOfLossReceived" => "_FNOL_",
        "estimatePackageReceived" => {
            let version = parts.estimate_version.map(str::trim);
            let version = version.filter(|version| !version.is_empty());
            &["_", version.unwrap_or("unknown"), "_"].concat()
        }
        _ => "_",
    };
    let mut name = [parts.assignment_id, middle, &file].concat();
    if let Some((_, extension)) = split_extension(&file) {
        let start = name.len() - extension.len();
        name[start..].make_ascii_lowercase();
    }
    let changed = match safe_component(&name) {
        Cow::Borrowed(_) => None,
        Cow::Owned(safe) => Some(safe),
    };
    changed.unwrap_or(name)
}

/// Returns the form in which names are compared: names with the same form are equal to file systems and tools that ignore
/// case and compatibility forms. `ﬁ` becomes `fi`, `ａ` becomes `a`, `ß` becomes `ss`, and both small sigmas become one.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let upper = name.nfkc().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).nfkc().collect()
}

/// Returns `name`, or the first of its variations that is not taken.
fn free_name(name: &str, media_id: Uuid, taken: &HashMap<String, Uuid>) -> String {
    let is_free = |name: &String| !taken.contains_key(&folded(name));
    let name = name.to_owned();
    if is_free(&name) {
        return name;
    }
    let (stem, extension) = match split_extension(&name) {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (&*name, String::new()),
    };
    let id = media_id.simple().to_string();
    // Eight digits suffice unless a file is named after them; then more digits, then a count.
    let by_id = [8, 16, 32]
        .into_iter()
        .map(|digits| format!("-{}{extension}", &id[..digits]));
    let by_count = (2_u64..).map(|count| format!("-{id}-{count}{extension}"));
    let mut variations = by_id.chain(by_count).map(|suffix| shortened(stem, &suffix));
    variations.find(is_free).unwrap_or(name)
}

/// Returns `stem` and `suffix`, with the stem truncated at a character boundary so that both fit.
fn shortened(stem: &str, suffix: &str) -> String {
    let room = MAX_COMPONENT_BYTES.saturating_sub(suffix.len());
    let stem = &stem[..stem.floor_char_boundary(room)];
    // The truncated stem must not end in a dot or space, nor make a `..`.
    format!("{}{suffix}", stem.trim_end_matches(['.', ' ']))
}

/// Whether a character is invisible and makes two different names appear equal: zero-width characters, and bidirectional
/// controls, which can display `fdp.exe` as `exe.pdf`.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
    )
}

fn is_refused(c: char) -> bool {
    let code = u32::from(c);
    matches!(c, '"' | '\\' | '/' | ':' | '|' | '<' | '>' | '*' | '?' | '#' | '%' | '\u{FFFD}')
        || c.is_control()
        || (c.is_whitespace() && c != ' ')
        // Noncharacters and private use: not valid in a request's URL.
        || code & 0xFFFE == 0xFFFE
        || matches!(code, 0xFDD0..=0xFDEF | 0xE000..=0xF8FF | 0xF_0000..)
}

/// Whether it is a device name of Windows, with or without an extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let is_any_of = |text: &[u8], devices: &[&str]| {
        let mut devices = devices.iter();
        devices.any(|device| device.as_bytes().eq_ignore_ascii_case(text))
    };
    match stem.as_bytes() {
        [device @ .., b'1'..=b'9'] => is_any_of(device, &["COM", "LPT"]),
        device => is_any_of(device, &["CON", "PRN", "AUX", "NUL"]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_that_counts_as_safe_would_not_be_changed(
            text in prop_oneof!["[a-c. _~-]{0,8}", "[a-c ]{1,3}[. ]{1,3}[a-c]{1,3}", "(?i)(con|com1|lpt|nul)[. a1]{0,3}", ".{0,12}"],
        ) {
            prop_assert!(!is_safe(&text) || made_safe(&text) == text);
        }
    }
}
