//! Kafka clients, the producer, authorization and the classification of errors. Only this crate and the consumer of the
//! runtime know rdkafka.
//!
//! Each client is created from [`client_config`] with a [`Connection`] as its context, which authenticates the client and
//! keeps the [`ConnectionError`] that explains why the cluster cannot be used. The [`Producer`] sends records and waits
//! for their acknowledgements. [`Record`] is what the consumer passes on, and [`CommitMetadata`] the text that is committed
//! together with an offset.
//!
//! [`admin`] has the operator's requests: topics, lag, group offsets, records, tombstones, and an embedded broker for
//! development. The linker leaves out of a program what it does not use.

pub mod admin;
pub mod backoff;
pub mod client_config;
mod commit_metadata;
mod connection;
mod connection_error;
mod producer;
mod read_errors;
mod record;
mod wake;

pub use commit_metadata::{CommitMetadata, TablePositions};
pub use connection::{Connection, HealthReporter, Permission, TopicAuthorization};
pub use connection_error::{ConnectionError, is_authorization_error};
pub use producer::{DeliveryStoppedError, Outgoing, Producer, ProducerError};
pub use read_errors::ReadErrors;
pub use record::{Record, trace_of_headers, trace_of_record};
pub use wake::Wake;
