//! Shared parts of the tests: real processes, a real Kafka, one generator of events, one verifier, independent readers.
//!
//! Nothing here uses code of the product: ids, paths and rows are derived from `shared/contracts/SPECIFICATION.md`
//! independently, so that the verifier cannot repeat mistakes of the product. All functions block, so that a test reads from
//! top to bottom. From an async test, call them in `tokio::task::spawn_blocking`. Each error says what failed and what to do.
//!
//! Servers: [`kafka`] (a real Apache Kafka as a child process, which can be killed, paused and restarted), [`namespace`] (Event
//! Hubs: that broker with tokens and access rules), [`one_lake`] and [`samples`] (the emulators as processes),
//! [`managed_identity`], [`entra`] and [`tokens`] (issuers of tokens), [`azurite`] (the reference for the emulator).
//!
//! The product: [`pipeline`] (`xact-pipeline --dev`), [`stages`] (handlers as separate processes), [`fleet`] (some of
//! them with topics, groups and a lake of their own, so that tests share a broker), [`running`] (a process that serves
//! `/health`, `/metrics` and `/invoke`), [`command`] (operators' commands), [`metrics`] (a scrape).
//!
//! Verification: [`events`] → [`sent`] (messages and expected outcomes) → [`rows`] (expected rows) → [`compare`] (actual
//! against expected), with [`ids`]; [`secrets`] (texts that must not leak); [`dead_letters`]; [`tables`] (Python's deltalake and polars),
//! [`spark`] and [`duckdb`] (other readers and writers), [`kcat`] and [`groups`] (other Kafka clients).
//!
//! Tools: [`process`], [`binary`], [`usage`], [`idle`], [`text`], [`python`], [`real_files`], [`bicep`], [`keda`], [`scale_rules`],
//! [`http`], [`console`], [`browser`], [`wait`], [`ports`], [`workdir`], [`cache`], [`watchdog`].

// Tests may use `unwrap`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod azurite;
pub mod bicep;
pub mod binary;
pub mod browser;
pub mod cache;
pub mod collector;
pub mod command;
pub mod compare;
pub mod console;
pub mod dead_letters;
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
pub mod text;
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
pub use error::{Error, Result, context, failed};
pub use fleet::Fleet;
pub use kafka::Kafka;
pub use managed_identity::ManagedIdentity;
pub use metrics::Metrics;
pub use namespace::Namespace;
pub use one_lake::OneLakeServer;
pub use pipeline::Pipeline;
pub use process::Process;
pub use running::Running;
pub use scale_rules::ScaleRules;
pub use spark::Spark;
pub use text::assert_contains;
pub use usage::Usage;
pub use variables::{Variables, variables};
pub use wait::wait_until;
pub use workdir::WorkDir;
