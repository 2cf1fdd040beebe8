//! Environment variables for a child process.

/// Names and values.
pub type Variables = Vec<(String, String)>;

/// Creates variables from pairs of names and values.
pub fn variables<V: ToString>(pairs: &[(&str, V)]) -> Variables {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}
