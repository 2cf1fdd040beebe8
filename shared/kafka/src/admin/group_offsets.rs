//! A consumer group's members, and its committed offsets, which can be changed while it has no members.

use jiff::Timestamp;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::groups::GroupInfo;
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::commit_metadata::CommitMetadata;
use xact_config::ClusterSettings;

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's `client.id`.
    pub client_id: String,
    /// The host that it connects from.
    pub host: String,
}

/// State and members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// As the broker reports it: `Stable`, `Empty`, `PreparingRebalance`, …; `Absent` if the broker does not know the group.
    pub state: String,
    /// The members.
    pub members: Vec<Member>,
}

/// One group on one cluster.
pub struct GroupOffsets {
    client: MetadataClient,
    group: String,
}

impl GroupOffsets {
    /// Creates the client, which does not join the group.
    ///
    /// # Errors
    /// When librdkafka rejects the settings.
    pub fn new(cluster: &ClusterSettings, group: &str) -> Result<Self, AdminError> {
        // A consumer that never subscribes never joins, and can commit offsets for a group without members.
        Ok(Self {
            client: MetadataClient::for_group(cluster, group, &[])?,
            group: group.to_owned(),
        })
    }

    /// Returns the group's state and members. Blocks.
    ///
    /// # Errors
    /// When the broker does not answer. The embedded broker does not support this request.
    pub fn state(&self) -> Result<GroupState, AdminError> {
        let what = format!("the members of group {} cannot be read", self.group);
        let list = self.client.request(what, |client| {
            client.fetch_group_list(Some(&self.group), REQUEST_TIMEOUT)
        })?;
        let found = list.groups().iter().find(|group| group.name() == self.group);
        let members = found.map(GroupInfo::members).unwrap_or_default().iter();
        let members = members.map(|member| Member {
            client_id: member.client_id().to_owned(),
            host: member.client_host().trim_start_matches('/').to_owned(),
        });
        let state = match found.map(GroupInfo::state).unwrap_or_default() {
            // Also reported for a group that does not exist or was deleted.
            "Dead" | "" => "Absent",
            state => state,
        };
        Ok(GroupState {
            state: state.to_owned(),
            members: members.collect(),
        })
    }

    /// Returns for each partition, in the given order, the first offset whose record was written at `time` or later, or
    /// `None` if there is no such record. Blocks.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn at_time(&self, partitions: &[(String, i32)], time: Timestamp) -> Result<Vec<Option<i64>>, AdminError> {
        let what = format!("offsets at {time}");
        let failed = |error| self.client.explain(&what, error);
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in partitions {
            wanted
                .add_partition_offset(topic, *partition, Offset::Offset(time.as_millisecond().max(0)))
                .map_err(failed)?;
        }
        let found = self.client.request(&what, |client| {
            client.offsets_for_times(wanted.clone(), REQUEST_TIMEOUT)
        })?;
        let offset = |(topic, partition): &(String, i32)| {
            let element = found.find_partition(topic, *partition);
            match element.map(|element| (element.error(), element.offset())) {
                Some((Ok(()), Offset::Offset(offset))) => Ok(Some(offset)),
                Some((Err(error), _)) => Err(failed(error)),
                // `End`: nothing was written since `time`.
                _ => Ok(None),
            }
        };
        partitions.iter().map(offset).collect()
    }

    /// Commits offsets for the group. The broker accepts them only while the group has no members. Blocks.
    ///
    /// # Errors
    /// When the broker rejects them, for example because a member has joined, or does not answer.
    pub fn commit(&self, positions: &[((String, i32), i64)]) -> Result<(), AdminError> {
        let what = format!(
            "the positions of group {} cannot be written (the group must not have members)",
            self.group
        );
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in positions {
            // The metadata lets a stage with tables distinguish the reset from a table that was restored.
            CommitMetadata::OperatorReset
                .add_to(&mut list, topic, *partition, *offset)
                .map_err(|error| self.client.explain(&what, error))?;
        }
        self.client
            .request(&what, |client| client.commit(&list, CommitMode::Sync))
    }
}
