//! An operator's requests to a cluster: topics and lag, group offsets, single records, tombstones.

mod clusters;
mod embedded_broker;
mod error;
mod group_offsets;
mod lag;
mod metadata_client;
mod oldest_unfinished;
mod record_probe;
mod request;
mod tombstones;
mod topic_reader;
pub mod topics;

pub use clusters::{Cluster, TopicState, clusters};
pub use embedded_broker::{EmbeddedBroker, EmbeddedBrokerError};
pub use error::AdminError;
pub use group_offsets::{GroupOffsets, GroupState, Member};
pub use lag::{LagReader, PartitionLag};
pub use oldest_unfinished::{Oldest, oldest_unfinished};
pub use record_probe::{Probed, RecordProbe, Stop};
pub use tombstones::{Tombstone, TombstoneError, Tombstones};
pub use topic_reader::{Span, TopicReader, TopicRecord};
