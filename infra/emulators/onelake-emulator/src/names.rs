//! Which names the emulator takes, segment by segment of a path.
//!
//! The published rules are loose ("avoid", "should"), and what the service really refuses is written down nowhere. So the
//! emulator refuses whatever any of these sources advises against: a name that passes here passes there.
//!
//! - [Naming blobs][azure]: no segment ends with a dot; no control characters, no code points that are no characters
//!   (U+E000, U+FFFF); backslashes are taken for slashes by clients; 1,024 characters, 63 segments deep.
//! - [OneLake file explorer][explorer]: "files or folders containing Windows reserved characters fail to sync"; those are
//!   `< > : " | ? * \`, and a space or a dot at the end ([Windows][windows]).
//! - The file system under the emulator: a segment of 250 bytes, so that the properties beside it have room for an ending.
//!
//! [azure]: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
//! [explorer]: https://learn.microsoft.com/fabric/onelake/onelake-file-explorer#limitations-and-considerations
//! [windows]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file

/// Characters of a whole path, without the workspace.
pub(crate) const MAX_PATH_CHARACTERS: usize = 1024;
/// Segments of a whole path, the workspace among them.
pub(crate) const MAX_DEPTH: usize = 63;
/// Bytes of one segment.
const MAX_SEGMENT_BYTES: usize = 250;

/// Why a name is refused, as a clause about it.
pub(crate) fn objection(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        return Some("a segment is empty");
    }
    if segment.len() > MAX_SEGMENT_BYTES {
        return Some("a segment is longer than 250 bytes");
    }
    if segment == "." || segment == ".." {
        return Some("a segment is a relative path");
    }
    if segment.ends_with(['.', ' ']) {
        return Some("a segment ends with a dot or a space");
    }
    segment.chars().find_map(|c| match c {
        '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some("a character is reserved on Windows"),
        c if c.is_control() => Some("a character is a control character"),
        '\u{E000}' | '\u{FFFE}' | '\u{FFFF}' => Some("a code point is no character"),
        _ => None,
    })
}

/// The same for a workspace: names of hidden folders are ours.
pub(crate) fn objection_to_workspace(name: &str) -> Option<&'static str> {
    if name.starts_with('.') {
        return Some("a workspace begins with a dot");
    }
    objection(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_odd_but_safe_names_pass() {
        for name in [
            "a",
            "roof.jpg",
            "Lake.Lakehouse",
            "event_date=2025-01-31",
            "ID%24",
            "#1 (final) + [copy], &c;",
            ".hidden",
            "_delta_log",
            "größe",
            "日本",
            "a..b",
        ] {
            assert_eq!(objection(name), None, "{name}");
        }
        assert_eq!(objection(&"x".repeat(250)), None);
    }

    #[test]
    fn names_that_some_side_cannot_hold_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "a.",
            "a ",
            "...",
            " ",
            "a\\b",
            "a:b",
            "a<b",
            "a>b",
            "a\"b",
            "a|b",
            "a?b",
            "a*b",
            "a\0b",
            "a\nb",
            "a\u{7f}b",
            "a\u{81}b",
            "a\u{E000}b",
            "a\u{FFFF}b",
        ] {
            assert!(objection(name).is_some(), "{name:?}");
        }
        assert!(objection(&"x".repeat(251)).is_some());
        assert!(objection_to_workspace(".onelake").is_some());
    }
}
