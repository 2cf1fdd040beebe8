//! The contract of the pipeline as pure functions: no I/O, no clock, no async.
//!
//! Read in this order: [`topology`] says which stage reads and writes what, [`messages`] what
//! travels between them, [`ids`] and [`blob_path`] how things are named, and the rules
//! ([`url_guard`], [`address_guard`], [`presigned`], [`file_rules`]) what is let in.
//! [`redaction`] keeps secrets out of everything that is written down.
//! [`json`] reads what events really hold.
//! [`onelake_billing`] is the price list of OneLake.

pub mod address_guard;
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
pub mod presigned;
pub mod redaction;
pub mod time;
pub mod topology;
pub mod url_guard;
pub mod url_paths;
