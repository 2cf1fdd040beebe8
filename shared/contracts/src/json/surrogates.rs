//! Lone surrogates: `\ud83d` without its second half, written by programs that truncate a text inside an emoji.
//!
//! RFC 8259, section 8.2, allows them and calls their interpretation unpredictable. Here each is read as U+FFFD.

use std::borrow::Cow;

/// `\u` and four hexadecimal digits.
const ESCAPE_BYTES: usize = 6;

/// Replaces the escape of each lone surrogate by that of U+FFFD.
pub(crate) fn without_lone_ones(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let mut replaced = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        let start = at + found;
        match (unit_at(bytes, start), unit_at(bytes, start + ESCAPE_BYTES)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at = start + 2 * ESCAPE_BYTES,
            (Some(0xD800..=0xDFFF), _) => {
                replaced.push_str(&json[done..start]);
                replaced.push_str("\\ufffd");
                done = start + ESCAPE_BYTES;
                at = done;
            }
            // The next byte belongs to this escape: it may be another backslash.
            _ => at = bytes.len().min(start + 2),
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    replaced.push_str(&json[done..]);
    Cow::Owned(replaced)
}

/// Returns the code unit whose escape starts at `at`.
fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_is_replaced_and_a_pair_is_kept() {
        for (written, read) in [
            (r#""a\ud83d""#, "a\u{FFFD}"),
            (r#""\ud83d\ude00""#, "\u{1F600}"),
            (r#""\uD83D\uDE00 \uDE00\uD83D""#, "\u{1F600} \u{FFFD}\u{FFFD}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\u{FFFD}"),
            (r#""\u0041\ud83d\n""#, "A\u{FFFD}\n"),
        ] {
            let text: String = serde_json::from_str(&without_lone_ones(written)).unwrap();
            assert_eq!(text, read, "{written}");
        }
    }

    #[test]
    fn text_that_is_not_an_escape_is_kept() {
        for text in ["", "\\", "\\u", "\\ud83", "\\u+123", "ä\\", "{\"a\":1}"] {
            assert!(matches!(without_lone_ones(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
