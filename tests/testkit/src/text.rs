//! Checks of texts that a program prints.

/// Panics with the text unless it contains each of these parts.
///
/// # Panics
/// When a part is missing.
#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Returns the cells of a line of a printed table in any border style.
pub fn cells(line: &str) -> Vec<&str> {
    let is_drawn = |letter: char| ('\u{2500}'..='\u{257f}').contains(&letter) || letter == '|';
    line.split(is_drawn)
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}
