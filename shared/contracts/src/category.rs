//! Error categories: the one word that decides where a failed message goes and that dashboards group by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an attachment or a message failed (specification, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Will fail again however often it is tried: refused URL, expired, refused file, most 4xx.
    Permanent,
    /// May well succeed later: timeout, connection, 408, 425, 429, 5xx, truncated body.
    Transient,
    /// The server wants other credentials (401, 407): a presigned URL may become valid again.
    Auth,
    /// The host's circuit breaker is open: no request was made.
    CircuitOpen,
    /// Anything that is not understood. `#[serde(other)]`: a category of a later version reads as this.
    #[serde(other)]
    Unknown,
}

impl Category {
    /// Every category, in the order of the specification.
    pub const ALL: [Self; 5] = [
        Self::Permanent,
        Self::Transient,
        Self::Auth,
        Self::CircuitOpen,
        Self::Unknown,
    ];

    /// The name in messages, tables and metric labels.
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

    /// Whether another attempt can help.
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
        assert_eq!(
            serde_json::from_str::<Category>("\"from_a_later_version\"").unwrap(),
            Category::Unknown
        );
    }
}
