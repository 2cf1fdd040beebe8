//! Error categories: they decide where a failed message goes, and dashboards group by them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Category of a failure. `SPECIFICATION.md`, "Failures and retries", lists what belongs to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Fails again on every attempt: refused URL, expired, refused file, most 4xx.
    Permanent,
    /// May succeed later: timeout, connection error, 408, 425, 429, 5xx, truncated body.
    Transient,
    /// The server requires other credentials (401, 407); a presigned URL may become valid again.
    Auth,
    /// The host's circuit breaker is open: no request was made.
    CircuitOpen,
    /// Anything else. `#[serde(other)]`: a category of a later version decodes to this.
    #[serde(other)]
    Unknown,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 5] = [
        Self::Permanent,
        Self::Transient,
        Self::Auth,
        Self::CircuitOpen,
        Self::Unknown,
    ];

    /// Returns the name in messages, tables and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Auth => "auth",
            Self::CircuitOpen => "circuit_open",
            Self::Unknown => "unknown",
        }
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Permanent)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_messages() {
        for category in Category::ALL {
            let json = serde_json::to_string(&category).unwrap();
            assert_eq!(json, format!("\"{category}\""));
            assert_eq!(serde_json::from_str::<Category>(&json).unwrap(), category);
        }
        let later: Category = serde_json::from_str("\"from_a_later_version\"").unwrap();
        assert_eq!(later, Category::Unknown);
    }
}
