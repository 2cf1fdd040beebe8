//! Reads data files: the rows of a table, and which keys it has.
//!
//! - `scan`: rows, for verification
//! - `contents`: the files of each date
//! - `dates`: the rows of a range of dates
//! - `date_files`: the files of one date, with the rows of some
//! - `find`: the rows of some ids
//! - `lookup`: which keys have a row, by bloom filters and key columns
//! - `filters`: the bloom filters in memory; `key_filter`: that of a file which this process has written
//! - `parquet`: opens and decodes a data file

pub(crate) mod contents;
pub(crate) mod date_files;
pub(crate) mod dates;
pub(crate) mod filters;
pub(crate) mod find;
pub(crate) mod key_filter;
pub(crate) mod lookup;
pub(crate) mod parquet;
mod scan;
