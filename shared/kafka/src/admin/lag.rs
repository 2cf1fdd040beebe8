//! The lag of each stage's consumer group.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use crate::admin::error::AdminError;
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::admin::topics;
use xact_config::Settings;
use xact_contracts::topology::Stage;

/// A group's position in one partition.
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
    /// Committed offset; `None` if none was committed yet.
    pub committed: Option<i64>,
    /// First offset that is still available.
    pub start: i64,
    /// One past the last record.
    pub end: i64,
}

impl PartitionLag {
    /// Returns the next offset that the group reads.
    pub(crate) fn position(&self) -> i64 {
        self.committed.unwrap_or(self.start).max(self.start)
    }

    /// Returns the number of offsets that the group has not finished.
    #[must_use]
    pub fn lag(&self) -> u64 {
        u64::try_from(self.end - self.position()).unwrap_or(0)
    }
}

/// Reads the lag of every group repeatedly, with the same clients.
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
    /// Creates a client for each stage's group. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached or a topic is missing.
    pub fn new(settings: &Settings) -> Result<Self, AdminError> {
        let states = topics::list(settings)?;
        let mut groups = Vec::new();
        for stage in Stage::all() {
            let role = stage.row().consumes;
            let cluster = settings.cluster_of(role);
            let group = settings.groups.of(stage);
            // A consumer that never subscribes never joins, and can still read the group's offsets.
            let client = MetadataClient::for_group(cluster, &group, &[])?;
            let partitions = settings.topics.of(role).into_iter().flat_map(|topic| {
                let state = states.iter().find(|state| state.name == topic);
                let count = state.and_then(|state| state.partitions).unwrap_or(0);
                (0..i32::try_from(count).unwrap_or(0)).map(move |partition| (topic.to_owned(), partition))
            });
            groups.push(Group {
                stage,
                name: group,
                client,
                partitions: partitions.collect(),
            });
        }
        Ok(Self { groups })
    }

    /// Returns how many requests a reading makes of a cluster with one broker: for each group one for its offsets, and two for
    /// the ends of all partitions.
    #[must_use]
    pub fn requests(&self) -> usize {
        let is_read = |group: &&Group| !group.partitions.is_empty();
        3 * self.groups.iter().filter(is_read).count()
    }

    /// Returns the current position of each group in each partition. The groups are read at the same time, since a reading is
    /// mostly waiting for brokers. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached.
    pub fn read(&self) -> Result<Vec<PartitionLag>, AdminError> {
        let groups = self.groups.iter().filter(|group| !group.partitions.is_empty());
        let lags: Result<Vec<_>, AdminError> = std::thread::scope(|scope| {
            let reading: Vec<_> = groups.map(|group| scope.spawn(|| group.read())).collect();
            let joined = reading
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect()
        });
        Ok(lags?.into_iter().flatten().collect())
    }
}

impl Group {
    fn read(&self) -> Result<Vec<PartitionLag>, AdminError> {
        let Self { name, client, .. } = self;
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in &self.partitions {
            wanted.add_partition(topic, *partition);
        }
        let committed = client.request(format!("positions of group {name}"), |client| {
            client.committed_offsets(wanted.clone(), REQUEST_TIMEOUT)
        })?;
        let watermarks = client.all_watermarks(|| format!("ends of what group {name} reads"), &self.partitions)?;
        let lags = self
            .partitions
            .iter()
            .zip(watermarks)
            .map(|((topic, partition), (start, end))| {
                let element = committed.find_partition(topic, *partition);
                let offset = element.and_then(|element| element.offset().to_raw());
                PartitionLag {
                    stage: self.stage,
                    group: name.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    committed: offset.filter(|&offset| offset >= 0),
                    start,
                    end,
                }
            });
        Ok(lags.collect())
    }
}
