//! Where something is: a workspace, and segments below it, each checked before.

use std::fmt;

/// The names from the workspace down. At least the workspace is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryPath(Vec<String>);

impl EntryPath {
    /// `segments` must have passed the rules for names.
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

    /// The last name and the folder it is in.
    pub(crate) fn split(&self) -> (&[String], &str) {
        let last = self.0.len() - 1;
        (&self.0[..last], &self.0[last])
    }

    /// How many names, the workspace among them: 1 a workspace, 2 an item, 3 one of its folders.
    pub(crate) fn depth(&self) -> usize {
        self.0.len()
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
