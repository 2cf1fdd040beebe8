//! The result of a check.

use std::error::Error;
use std::fmt::Display;
use std::pin::Pin;

use serde::Serialize;

/// What a check found. An error is a failure.
pub(super) type Found = Result<Finding, Box<dyn Error + Send + Sync>>;

/// A check that has not run yet, with its name.
pub(super) type Check = (String, Pin<Box<dyn Future<Output = Found> + Send>>);

/// Gives a check its name.
pub(super) fn named(name: impl Into<String>, check: impl Future<Output = Found> + Send + 'static) -> Check {
    (name.into(), Box::pin(check))
}

/// What a check found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found. Lines may be of a server's answer: escape control characters before printing.
    pub text: String,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
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

impl Finding {
    fn new(verdict: Verdict, text: impl Display) -> Self {
        let text = text.to_string();
        Self { verdict, text }
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
        let check = check.into();
        CheckResult { check, finding: self }
    }
}
