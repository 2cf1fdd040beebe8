//! Maintenance of a table, safe while other processes append to it.
//!
//! - `info`: the state of a table
//! - `optimize`: compacts small data files
//! - `remove`: removes rows by id
//! - `rewrite`: replaces data files by new ones, for the two before
//! - `vacuum`: deletes files that no version names
//! - `log`: writes a checkpoint, deletes old log entries

pub(crate) mod info;
mod log;
pub(crate) mod optimize;
pub(crate) mod remove;
mod rewrite;
pub(crate) mod vacuum;
