//! Environment variables for a child process.

/// Names and values.
pub type Variables = Vec<(String, String)>;

/// Variables from pairs of texts.
#[must_use]
pub fn variables<V: ToString>(pairs: &[(&str, V)]) -> Variables {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}
