//! Maintenance.
pub(crate) mod optimize;
pub(crate) mod remove;
mod rewrite;
pub(crate) mod upkeep;
