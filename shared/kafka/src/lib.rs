//! Kafka: clients, the producer, authorization and the classification of errors. The only crate that knows rdkafka,
//! besides the consumer of the runtime.
//!
//! Every client is made from [`client_config`] and with a [`connection::Connection`], which authenticates it and knows why
//! a cluster cannot be reached; [`connection_error`] has one text for each cause. [`producer`] sends records and waits for
//! their acknowledgements. [`record`] is what a consumer hands on, [`commit_note`] the metadata beside a committed offset.
//!
//! With the feature `admin`, [`admin`] has what an operator asks of a cluster: topics, lag, offsets, records, tombstones,
//! and a broker inside the process for development. No stage links it.

#[cfg(feature = "admin")]
pub mod admin;
pub mod backoff;
pub mod client_config;
pub mod commit_note;
pub mod connection;
pub mod connection_error;
pub mod producer;
pub mod read_errors;
pub mod record;
pub mod wake;
