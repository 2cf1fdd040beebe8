//! A consumer group from outside: who is in it, and putting its positions elsewhere while nobody is.

use jiff::Timestamp;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::metadata_client::MetadataClient;
use crate::admin::request::{AdminError, REQUEST_TIMEOUT};
use crate::commit_note::CommitNote;
use xact_config::ClusterSettings;

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// Who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The broker's word: `Stable`, `Empty`, `PreparingRebalance`, …; `Absent`: the broker does not know the group.
    pub state: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// One group on one cluster.
pub struct GroupOffsets {
    client: MetadataClient,
    cluster: ClusterSettings,
    group: String,
}

impl GroupOffsets {
    /// Connects. The group is not joined.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(cluster: &ClusterSettings, group: &str) -> Result<Self, AdminError> {
        // A consumer that never subscribes never joins; of a group without members it may commit positions.
        let client = MetadataClient::of_group(cluster, group, &[])?;
        Ok(Self {
            client,
            cluster: cluster.clone(),
            group: group.to_owned(),
        })
    }

    /// State and members. Blocks.
    ///
    /// # Errors
    /// When the broker does not answer; the embedded one never does.
    pub fn state(&self) -> Result<GroupState, AdminError> {
        let what = format!("the members of group {} cannot be read", self.group);
        let list = self.client.ask(what, |client| {
            client.fetch_group_list(Some(&self.group), REQUEST_TIMEOUT)
        })?;
        let state = list.groups().iter().find(|group| group.name() == self.group);
        Ok(state.map_or_else(
            || GroupState {
                state: "Absent".to_owned(),
                members: Vec::new(),
            },
            |group| {
                let members = group.members().iter().map(|member| Member {
                    client_id: member.client_id().to_owned(),
                    host: member.client_host().trim_start_matches('/').to_owned(),
                });
                GroupState {
                    state: match group.state() {
                        // What the broker says of a group that it has never heard of, or has forgotten.
                        "Dead" | "" => "Absent".to_owned(),
                        state => state.to_owned(),
                    },
                    members: members.collect(),
                }
            },
        ))
    }

    /// For each partition, in their order: the first offset whose record was written at `time` or later; `None`: there is
    /// none. Blocks.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn at_time(&self, partitions: &[(String, i32)], time: Timestamp) -> Result<Vec<Option<i64>>, AdminError> {
        let what = format!("offsets at {time}");
        let failed = |error| AdminError::broker(what.clone(), &self.cluster)(error);
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in partitions {
            wanted
                .add_partition_offset(topic, *partition, Offset::Offset(time.as_millisecond().max(0)))
                .map_err(failed)?;
        }
        let found = self.client.ask(what.clone(), |client| {
            client.offsets_for_times(wanted.clone(), REQUEST_TIMEOUT)
        })?;
        let mut offsets = Vec::new();
        for (topic, partition) in partitions {
            let element = found.find_partition(topic, *partition);
            let offset = match element.map(|element| (element.error(), element.offset())) {
                Some((Ok(()), Offset::Offset(offset))) => Some(offset),
                Some((Err(error), _)) => return Err(failed(error)),
                // `End`: nothing was written since.
                _ => None,
            };
            offsets.push(offset);
        }
        Ok(offsets)
    }

    /// Commits positions for the group. The broker takes them only while the group has no members. Blocks.
    ///
    /// # Errors
    /// When the broker refuses, because a member has come perhaps, or does not answer.
    pub fn commit(&self, positions: &[((String, i32), i64)]) -> Result<(), AdminError> {
        let what = format!(
            "the positions of group {} cannot be written (a member that has just joined forbids it)",
            self.group
        );
        let failed = |error: KafkaError| AdminError::broker(what.clone(), &self.cluster)(error);
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in positions {
            // Noted, so that a stage with tables knows it for a decision, and not for a table that was restored.
            CommitNote::Reset
                .add(&mut list, topic, *partition, *offset)
                .map_err(failed)?;
        }
        self.client
            .ask(what.clone(), |client| client.commit(&list, CommitMode::Sync))
    }
}
