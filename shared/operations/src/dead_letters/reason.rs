//! What reasons have in common that differ in numbers, ids and addresses.

/// Most characters of a pattern.
const MAX_CHARS: usize = 200;

/// Returns the reason with `#` in the place of each word that contains a digit or is an address. The pattern of a pattern is
/// itself.
#[must_use]
pub fn reason_pattern(reason: &str) -> String {
    let mut pattern = String::new();
    for word in reason.split_whitespace() {
        if !pattern.is_empty() {
            pattern.push(' ');
        }
        let differs = word.contains("://") || word.contains(|letter: char| letter.is_ascii_digit());
        pattern.push_str(if differs { "#" } else { word });
        if pattern.len() > MAX_CHARS {
            let shortened: String = pattern.chars().take(MAX_CHARS).collect();
            return shortened.trim_end().to_owned();
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_alike_that_differ_in_numbers_and_addresses() {
        let long = "word ".repeat(100);
        for (reason, expected) in [
            (
                "HTTP 503 from https://a.example/b after 31 s",
                "HTTP # from # after # s",
            ),
            ("the URL has expired", "the URL has expired"),
            ("  two\n lines", "two lines"),
            ("", ""),
            (long.as_str(), &long[..199]),
        ] {
            let pattern = reason_pattern(reason);
            assert_eq!(pattern, expected);
            assert_eq!(reason_pattern(&pattern), pattern, "{reason}");
        }
    }
}
