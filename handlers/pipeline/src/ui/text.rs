//! Text for the terminal: what comes from outside is made safe, what matters is highlighted.

use std::io::IsTerminal;

use console::Style;

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

/// Returns text with a symbol before it and in a style; elsewhere than on a terminal, or with `NO_COLOR`, the text alone.
pub(crate) fn marked(text: &str, symbol: &str, style: Style) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        let text = format!("{symbol} {text}");
        style.force_styling(true).apply_to(text).to_string()
    } else {
        text.to_owned()
    }
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
