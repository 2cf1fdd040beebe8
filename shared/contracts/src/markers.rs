//! Text that one stage writes in place of a missing value, and that another program must recognise.
//!
//! `dlq replay` refuses a task whose text was truncated or whose assignment is unknown. Both sides use these items, so
//! they cannot disagree.

/// The assignment id of a task whose event has none. It is visible in the path and in the row.
pub const UNKNOWN_ASSIGNMENT: &str = "unknown";

/// Ends every truncated text.
const TRUNCATED: &str = " bytes, cut]";

/// Returns at most `max_bytes` of the text, cut at a character boundary; a truncated text is marked with its full length.
///
/// The mark comes on top of `max_bytes`.
#[must_use]
pub fn truncate(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes);
    format!("{} [{}{TRUNCATED}", &text[..end], text.len())
}

/// Whether [`truncate`] shortened this text.
#[must_use]
pub fn is_truncated(text: &str) -> bool {
    text.ends_with(TRUNCATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_text_is_recognised() {
        assert_eq!(truncate("abcdef", 4), "abcd [6 bytes, cut]");
        assert_eq!(truncate("aéb", 2), "a [4 bytes, cut]", "no character is split");
        for text in ["abcdef", "ééé", "😀😀"] {
            for max_bytes in 0..text.len() {
                let truncated = truncate(text, max_bytes);
                assert!(is_truncated(&truncated), "{truncated}");
                assert!(truncated.ends_with(&format!("[{} bytes, cut]", text.len())));
            }
        }
    }

    #[test]
    fn a_whole_text_is_left_alone() {
        assert_eq!(truncate("abcdef", 6), "abcdef");
        assert!(!is_truncated(&truncate("abcdef", 6)));
        assert!(!is_truncated(""));
    }
}
