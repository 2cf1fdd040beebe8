//! Commits.
pub(crate) mod attempt;
mod checkpoint;
pub(crate) mod transaction;
