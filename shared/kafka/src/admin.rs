//! What an operator asks of a cluster or does to it: topics and lag, group offsets, single records, tombstones.

pub mod embedded_broker;
pub mod group_offsets;
mod metadata_client;
pub mod record_probe;
mod request;
pub mod tombstones;
pub mod topic_reader;
pub mod topics;

pub use request::AdminError;
