//! An operator's requests to a cluster: topics and lag, group offsets, single records, tombstones.

mod embedded_broker;
mod error;
mod group_offsets;
mod group_probe;
mod lag;
mod metadata_client;
mod oldest_unfinished;
mod record_probe;
mod tombstones;
mod topic_reader;
pub mod topics;

pub use embedded_broker::{EmbeddedBroker, EmbeddedBrokerError};
pub use error::AdminError;
pub use group_offsets::{GroupOffsets, GroupState, Member};
pub use group_probe::{join_and_commit, remove_group};
pub use lag::{LagReader, PartitionLag};
pub use oldest_unfinished::{Oldest, oldest_unfinished};
pub use record_probe::{Probed, RecordProbe, Stop};
pub use tombstones::{Tombstone, TombstoneError, Tombstones};
pub use topic_reader::{Span, TopicReader, TopicRecord};
pub use topics::{Cluster, TopicState, clusters};
