//! Cases of tables and of properties, written as text.

use proptest::prelude::*;

/// Returns the cases of a table: one a line, with `N` columns between arrows. White space around a column does not count.
pub(crate) fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| {
        let columns: Vec<_> = line.split('→').map(str::trim).collect();
        columns.try_into().unwrap_or_else(|_| panic!("not {N} columns: {line}"))
    })
}

/// One of the words of a text, or of some other pieces.
pub(crate) fn one_of(words: &str, others: &[&str]) -> impl Strategy<Value = String> {
    let words = words.split_whitespace().chain(others.iter().copied());
    prop::sample::select(words.map(str::to_owned).collect::<Vec<_>>())
}
