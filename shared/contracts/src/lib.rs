//! The contract of the pipeline as pure functions: no I/O, no clock, no async. `SPECIFICATION.md` is the same contract in prose.
//!
//! - [`topology`]: which stage consumes and produces which topics
//! - [`messages`], [`category`], [`markers`]: what is in the topics
//! - [`ids`], [`blob_path`], [`cache_path`]: how things are named
//! - [`partitioner`]: the partition of a key
//! - [`url_guard`], [`address_guard`], [`presigned`], [`file_rules`]: what is accepted
//! - [`redaction`]: keeps secrets out of everything that is written down
//! - [`json`], [`time`], [`url_paths`]: tolerant reading of events
//! - [`onelake_billing`]: prices of requests to OneLake

pub mod address_guard;
mod ascii_case;
pub mod blob_path;
pub mod cache_path;
pub mod category;
pub mod error_cause;
pub mod file_rules;
pub mod ids;
pub mod json;
pub mod markers;
pub mod messages;
pub mod onelake_billing;
pub mod partitioner;
pub mod presigned;
pub mod redaction;
pub mod time;
pub mod topology;
pub mod url_guard;
pub mod url_paths;
