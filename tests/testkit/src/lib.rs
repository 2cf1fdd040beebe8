//! What the tests share: real processes, a real Kafka, one generator of events, one verifier, independent readers.
//!
//! Nothing here is made from the product: ids, paths and rows are derived from the specification again, so that what checks
//! the product cannot repeat its mistakes. Everything blocks, on purpose: a test reads from top to bottom. From an async
//! test, call it in `tokio::task::spawn_blocking`.
//!
//! Machines: [`kafka`] (a real Apache Kafka as a child process, killed, paused and restarted at will), [`namespace`] (Event
//! Hubs: that broker with tokens and access rules), [`one_lake`] and [`samples`] (the emulators as processes),
//! [`managed_identity`], [`entra`] and [`tokens`] (who signs tokens), [`azurite`] (the reference for our emulator).
//!
//! The product: [`pipeline`] (`xact-pipeline --dev`), [`stages`] (handlers as processes of their own), [`fleet`] (some of
//! them with topics, groups and a lake of their own, so that tests share a broker), [`running`] (a process that serves
//! `/health`, `/metrics` and `/invoke`), [`command`] and [`operator`] (operators' commands), [`metrics`] (a scrape).
//!
//! The truth: [`events`] → [`sent`] (what was sent) → [`rows`] (the rows that must follow) → [`compare`] (whether they did),
//! with [`ids`]; [`secrets`] (what must appear nowhere); [`tables`] (what Python's deltalake and polars read), [`spark`]
//! and [`duckdb`] (other readers and writers), [`kcat`] and [`groups`] (other Kafka clients).
//!
//! Tools: [`process`], [`binary`], [`usage`], [`idle`], [`python`], [`real_files`], [`bicep`], [`keda`], [`scale_rules`],
//! [`http`], [`wait`], [`ports`], [`workdir`], [`cache`], [`watchdog`].

// Tests say `unwrap` where the product may not.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod azurite;
pub mod bicep;
pub mod binary;
pub mod cache;
pub mod command;
pub mod compare;
pub mod duckdb;
pub mod entra;
pub mod error;
pub mod events;
pub mod fleet;
pub mod groups;
pub mod http;
mod http_server;
pub mod idle;
pub mod ids;
pub mod kafka;
pub mod kcat;
pub mod keda;
pub mod managed_identity;
mod maven;
pub mod metrics;
pub mod namespace;
pub mod one_lake;
pub mod operator;
pub mod pipeline;
pub mod ports;
pub mod process;
pub mod python;
pub mod real_files;
pub mod rows;
pub mod running;
pub mod samples;
pub mod scale_rules;
pub mod secrets;
pub mod sent;
pub mod spark;
pub mod stages;
pub mod tables;
pub mod tokens;
pub mod usage;
mod variables;
pub mod wait;
pub mod watchdog;
pub mod workdir;

pub use azurite::Azurite;
pub use binary::binary;
pub use command::{Answer, command};
pub use entra::Entra;
pub use error::{Error, Result, failed};
pub use fleet::Fleet;
pub use kafka::Kafka;
pub use managed_identity::ManagedIdentity;
pub use metrics::Metrics;
pub use namespace::Namespace;
pub use one_lake::OneLakeServer;
pub use operator::Operator;
pub use pipeline::Pipeline;
pub use process::Process;
pub use running::Running;
pub use scale_rules::ScaleRules;
pub use spark::Spark;
pub use usage::Usage;
pub use variables::{Variables, variables};
pub use wait::wait_until;
pub use workdir::WorkDir;
