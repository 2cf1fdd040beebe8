//! Reads data files: the rows of a table, and which keys it has.
//!
//! - `scan`: rows, for verification
//! - `lookup`: which keys have a row, by bloom filters and key columns
//! - `filters`: the bloom filters in memory
//! - `parquet`: opens and decodes a data file

pub(crate) mod filters;
pub(crate) mod lookup;
pub(crate) mod parquet;
mod scan;
