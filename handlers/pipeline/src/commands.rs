//! The operator's commands, one a file.

pub(crate) mod check;
pub(crate) mod console;
pub(crate) mod demo;
pub(crate) mod dlq;
pub(crate) mod explain;
pub(crate) mod leftovers;
pub(crate) mod maintain;
pub(crate) mod offsets;
pub(crate) mod produce;
pub(crate) mod reconcile;
pub(crate) mod table;
pub(crate) mod topics;
pub(crate) mod trace;
pub(crate) mod validate;
