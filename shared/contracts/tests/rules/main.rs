//! The rules for input from attackers, careless senders and broken servers: tables and properties.
#![allow(clippy::unwrap_used)]

mod address_guard;
mod blob_path;
mod cases;
mod file_rules;
mod hostile_urls;
mod messages;
mod presigned;
mod redaction;
mod specification;
mod url_guard;
