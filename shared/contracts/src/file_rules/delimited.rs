//! Tables as text, which programs save as `.xls` because Excel opens them.

use super::text::{decode, skip_blank};

/// Returns the media type of a table of separated values; `None` for other text.
///
/// It needs one row with tabs, or two rows with the same number of the same separator, which error messages do not have.
pub(super) fn media_type(head: &[u8]) -> Option<&'static str> {
    let text = decode(head);
    let text = skip_blank(&text);
    if text.starts_with(['<', '{', '[']) {
        return None;
    }
    let rows: Vec<&str> = text.lines().filter(|row| !row.trim().is_empty()).take(2).collect();
    let count = |separator: char| -> Vec<usize> { rows.iter().map(|row| row.matches(separator).count()).collect() };
    let is_table = |separator: char| matches!(count(separator)[..], [first, second] if first > 0 && first == second);
    if count('\t').first().is_some_and(|tabs| *tabs > 0) {
        return Some("text/tab-separated-values");
    }
    [',', ';'].into_iter().any(is_table).then_some("text/csv")
}
