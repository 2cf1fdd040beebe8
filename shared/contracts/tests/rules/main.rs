//! The rules against what an attacker, a careless sender or a broken server may give them: tables and properties.
#![allow(clippy::unwrap_used)]

mod address_guard;
mod blob_path;
mod file_rules;
mod hostile_urls;
mod messages;
mod presigned;
mod redaction;
mod specification;
mod url_guard;
