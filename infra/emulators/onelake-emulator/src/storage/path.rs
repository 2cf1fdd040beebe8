//! Paths below the root folder.

use std::fmt;

/// The names from the workspace down, at least the workspace. Every name has passed the rules for names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryPath(Vec<String>);

impl EntryPath {
    /// Every segment must have passed the rules for names.
    pub(crate) fn new(segments: Vec<String>) -> Self {
        debug_assert!(!segments.is_empty());
        Self(segments)
    }

    pub(crate) fn workspace(&self) -> &str {
        &self.0[0]
    }

    pub(crate) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Returns the names of the parent folder, and the last name.
    pub(crate) fn split(&self) -> (&[String], &str) {
        let last = self.0.len() - 1;
        (&self.0[..last], &self.0[last])
    }

    /// Returns the number of names: 1 for a workspace, 2 for an item, 3 for a folder of an item.
    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Returns the first `depth` names, or all if there are fewer.
    pub(crate) fn ancestor(&self, depth: usize) -> Self {
        Self(self.0[..depth.min(self.0.len())].to_vec())
    }

    /// Whether `other` is this path or below it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}
