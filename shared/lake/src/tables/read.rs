//! Reading.
pub(crate) mod filters;
pub(crate) mod lookup;
pub(crate) mod parquet;
mod scan;
