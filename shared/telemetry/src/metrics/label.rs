//! Values of labels.

use xact_contracts::category::Category;
use xact_contracts::topology::Stage;

/// A type whose values can be the value of a label.
pub trait Label {
    /// Returns the value as text.
    fn text(&self) -> &str;
}

/// Result of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    Success,
    /// It failed.
    Error,
}

impl Status {
    /// Returns the status of a result.
    pub const fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Error,
        }
    }
}

impl Label for Status {
    fn text(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

impl Label for &str {
    fn text(&self) -> &str {
        self
    }
}

impl Label for Category {
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Label for Stage {
    fn text(&self) -> &str {
        self.name()
    }
}
