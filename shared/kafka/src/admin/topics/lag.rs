//! How far each group is behind.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::{AdminError, REQUEST_TIMEOUT, list};
use crate::admin::metadata_client::MetadataClient;
use xact_config::Settings;
use xact_contracts::topology::Stage;

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// Stage.
    pub stage: Stage,
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Committed position; `None`: nothing was committed yet.
    pub committed: Option<i64>,
    /// First offset that is still there.
    pub start: i64,
    /// One past the last record.
    pub end: i64,
}

impl PartitionLag {
    /// Records that the group has not finished.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let position = self.committed.unwrap_or(self.start).max(self.start);
        u64::try_from(self.end - position).unwrap_or(0)
    }
}

/// Asks for lag, again and again, over connections that it keeps.
pub struct LagReader {
    groups: Vec<Group>,
}

/// One stage's group and the partitions that it reads.
struct Group {
    stage: Stage,
    name: String,
    client: MetadataClient,
    partitions: Vec<(String, i32)>,
}

impl LagReader {
    /// Connects for every stage's group. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached or a topic is missing.
    pub fn new(settings: &Settings) -> Result<Self, AdminError> {
        let partitions = list(settings)?;
        let mut groups = Vec::new();
        for stage in Stage::all() {
            let role = stage.row().consumes;
            let cluster = settings.cluster_of(role);
            let group = settings.groups.of(stage);
            // A consumer that never subscribes never joins: it may ask for the group's positions all the same.
            let client = MetadataClient::of_group(cluster, &group, &[])?;
            let topics = settings.topics.of(role).into_iter().flat_map(|topic| {
                let count = partitions
                    .iter()
                    .find(|state| state.name == topic)
                    .and_then(|state| state.partitions)
                    .unwrap_or(0);
                (0..i32::try_from(count).unwrap_or(0)).map(move |partition| (topic.to_owned(), partition))
            });
            groups.push(Group {
                stage,
                name: group,
                client,
                partitions: topics.collect(),
            });
        }
        Ok(Self { groups })
    }

    /// Where each group stands now. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached.
    pub fn read(&self) -> Result<Vec<PartitionLag>, AdminError> {
        let mut lags = Vec::new();
        for Group {
            stage,
            name,
            client,
            partitions,
        } in &self.groups
        {
            if partitions.is_empty() {
                continue;
            }
            let mut wanted = TopicPartitionList::new();
            for (topic, partition) in partitions {
                wanted.add_partition(topic, *partition);
            }
            let committed = client.ask(format!("positions of group {name}"), |client| {
                client.committed_offsets(wanted.clone(), REQUEST_TIMEOUT)
            })?;
            for (topic, partition) in partitions {
                let (start, end) = client.watermarks(topic, *partition)?;
                lags.push(PartitionLag {
                    stage: *stage,
                    group: name.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    committed: committed
                        .find_partition(topic, *partition)
                        .and_then(|element| element.offset().to_raw())
                        .filter(|&offset| offset >= 0),
                    start,
                    end,
                });
            }
        }
        Ok(lags)
    }
}
