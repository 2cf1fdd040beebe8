//! The rules for names of path segments.
//!
//! The published rules are recommendations ("avoid", "should"), and what the service refuses is not documented. The emulator
//! refuses everything that one of these sources advises against, so that a name that it accepts is valid in OneLake:
//!
//! - [Naming blobs][azure]: no segment ends with a dot; no control characters, no code points that are no characters
//!   (U+E000, U+FFFF); backslashes are taken for slashes by clients; 1,024 characters, 63 segments deep.
//! - [OneLake file explorer][explorer]: "files or folders containing Windows reserved characters fail to sync"; those are
//!   `< > : " | ? * \`, and a space or a dot at the end ([Windows][windows]).
//! - The file system under the emulator: a segment of 250 bytes, so that the file of its properties can have a longer name.
//!
//! [azure]: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
//! [explorer]: https://learn.microsoft.com/fabric/onelake/onelake-file-explorer#limitations-and-considerations
//! [windows]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file

/// Limit on the characters of a path, without the workspace.
pub(crate) const MAX_PATH_CHARACTERS: usize = 1024;
/// Limit on the segments of a path, including the workspace.
pub(crate) const MAX_DEPTH: usize = 63;
/// Limit on the bytes of a segment.
const MAX_SEGMENT_BYTES: usize = 250;

/// Returns why a name is not valid.
pub(crate) fn name_error(segment: &str) -> Option<&'static str> {
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
        '\u{E000}' | '\u{FFFE}' | '\u{FFFF}' => Some("a code point is not a character"),
        _ => None,
    })
}

/// Returns why the name of a workspace is not valid: names with a dot are for the emulator's own folder.
pub(crate) fn workspace_name_error(name: &str) -> Option<&'static str> {
    if name.starts_with('.') {
        return Some("a workspace begins with a dot");
    }
    name_error(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_unusual_but_safe_names_are_valid() {
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
            assert_eq!(name_error(name), None, "{name}");
        }
        assert_eq!(name_error(&"x".repeat(250)), None);
    }

    #[test]
    fn names_that_some_system_cannot_hold_are_not_valid() {
        for name in ["", ".", "..", "a.", "a ", "...", " "] {
            assert!(name_error(name).is_some(), "{name:?}");
        }
        for c in "\\:<>\"|?*\0\n\u{7f}\u{81}\u{E000}\u{FFFF}".chars() {
            assert!(name_error(&format!("a{c}b")).is_some(), "{c:?}");
        }
        assert!(name_error(&"x".repeat(251)).is_some());
        assert!(workspace_name_error(".onelake").is_some());
    }
}
