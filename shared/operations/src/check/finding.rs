//! The result of a check.

use std::fmt::Display;
use std::pin::Pin;

use serde::Serialize;

/// A check that has not run yet.
pub(super) type Check = Pin<Box<dyn Future<Output = Finding> + Send>>;

/// What a check found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found. Lines may be of a server's answer: escape control characters before printing.
    pub text: String,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It works.
    Ok,
    /// It works, but costs more or behaves differently than it should.
    Warning,
    /// It does not work.
    Failed,
    /// The settings do not use it.
    Skipped,
}

/// A finding with the name of its check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The check.
    pub check: String,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

impl Verdict {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Finding {
    fn new(verdict: Verdict, text: impl Display) -> Self {
        Self {
            verdict,
            text: text.to_string(),
        }
    }

    pub(super) fn ok(text: impl Display) -> Self {
        Self::new(Verdict::Ok, text)
    }

    pub(super) fn warning(text: impl Display) -> Self {
        Self::new(Verdict::Warning, text)
    }

    pub(super) fn failed(text: impl Display) -> Self {
        Self::new(Verdict::Failed, text)
    }

    pub(super) fn skipped(text: impl Display) -> Self {
        Self::new(Verdict::Skipped, text)
    }

    pub(super) fn of(self, check: impl Into<String>) -> CheckResult {
        CheckResult {
            check: check.into(),
            finding: self,
        }
    }
}
