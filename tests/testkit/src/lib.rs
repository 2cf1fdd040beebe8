//! The test machinery: real processes, a real Kafka, independent readers, and nothing left behind.
//!
//! Everything here blocks, on purpose: a test reads from top to bottom. From an async test, call it in
//! `tokio::task::spawn_blocking`.
//!
//! - [`kafka`]: a real Apache Kafka as a child process; killed, paused and restarted at will
//! - [`managed_identity`], [`entra`], [`tokens`]: where a container app and a service principal get their tokens, and who
//!   signs them
//! - [`process`]: any other child process, its output in a log file; [`usage`]: what it costs
//! - [`binary`]: where the workspace's own binaries are
//! - [`tables`]: what the Delta tables hold, as deltalake and polars for Python read them
//! - [`python`]: the Python environment behind that
//! - [`spark`], [`duckdb`]: other programs that read Delta tables, and one that writes them
//! - [`azurite`]: Microsoft's emulator of Blob storage, the reference for ours
//! - [`real_files`]: files of every kind that the file rules know, written by real programs
//! - [`bicep`], [`keda`]: the deployment as it is predicted, and the scaler that Azure runs over it
//! - [`http`], [`wait`]: a GET, a POST, and "until this is so"
//! - [`ports`], [`workdir`], [`cache`], [`watchdog`]: ports, directories, downloads, and the cleaning up

// Tests say `unwrap` where the product may not.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod azurite;
pub mod bicep;
pub mod binary;
pub mod cache;
pub mod duckdb;
pub mod entra;
pub mod error;
pub mod http;
mod http_server;
pub mod kafka;
pub mod keda;
pub mod managed_identity;
mod maven;
pub mod ports;
pub mod process;
pub mod python;
pub mod real_files;
pub mod spark;
pub mod tables;
pub mod tokens;
pub mod usage;
pub mod wait;
pub mod watchdog;
pub mod workdir;

pub use azurite::Azurite;
pub use binary::binary;
pub use entra::Entra;
pub use error::Error;
pub use kafka::Kafka;
pub use managed_identity::ManagedIdentity;
pub use process::Process;
pub use spark::Spark;
pub use usage::Usage;
pub use wait::wait_until;
pub use workdir::WorkDir;

/// What most of the harness returns.
pub type Result<T> = std::result::Result<T, Error>;
