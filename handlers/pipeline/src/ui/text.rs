//! Text from outside, made safe for the terminal.

use xact_contracts::redaction::redact_text;

/// Maximum length of the text in a table cell, in characters.
const MAX_CELL_LENGTH: usize = 90;

/// Escapes control characters, which a terminal would execute; keeps line breaks and tabs.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Bidirectional controls reorder what is around them.
        let is_order = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() && !matches!(character, '\n' | '\t')) || is_order {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns text for a table cell: redacted, on one line, truncated.
pub(crate) fn cell(text: &str) -> String {
    let text = visible(&redact_text(text)).replace(['\n', '\t'], " ");
    if text.chars().count() <= MAX_CELL_LENGTH {
        return text;
    }
    text.chars().take(MAX_CELL_LENGTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            visible("a\u{1b}[2Jb\r\n\tc\u{202e}"),
            "a\\u{1b}[2Jb\\u{d}\n\tc\\u{202e}"
        );
        assert_eq!(cell("a\nb"), "a b");
        assert_eq!(cell(&"x".repeat(200)).chars().count(), MAX_CELL_LENGTH);
    }
}
