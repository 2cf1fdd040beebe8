//! Topics from outside: creating them, and how far each group is behind.

use crate::cluster;
use crate::config::{ClusterSettings, Settings};
use backon::{BlockingRetryable, ConstantBuilder};
use contracts::topology::{Stage, TopicRole};
use jiff::Timestamp;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Longest wait for one answer of a broker.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// A question to a broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The broker did not answer as it should.
    #[error("{what}: {error}; check that the broker at {bootstrap} runs and may be reached")]
    Broker {
        /// What was asked.
        what: String,
        /// Where.
        bootstrap: String,
        /// Its answer.
        error: Box<KafkaError>,
    },
    /// The broker refused to create a topic.
    #[error("topic {topic} cannot be created: {code}; on Event Hubs, topics are created by the deployment")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// The topic is not there.
    #[error(
        "there is no topic {topic} at {bootstrap}: create it (`topics create`), or check its name and the bootstrap servers"
    )]
    Missing {
        /// The topic.
        topic: String,
        /// Where it was looked for.
        bootstrap: String,
    },
    /// The broker stopped answering while a topic was read.
    #[error(
        "{bootstrap} fell silent for {seconds} s while partitions {partitions:?} of {topic} were read: {reason}; what was read so far is not all. Check the broker and run the command again"
    )]
    Silent {
        /// The topic.
        topic: String,
        /// What was not read to its end.
        partitions: Vec<i32>,
        /// How long nothing came.
        seconds: u64,
        /// Where.
        bootstrap: String,
        /// Its last words.
        reason: String,
    },
}

/// A topic that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Name.
    pub name: String,
    /// Partitions; `None`: the topic is not there.
    pub partitions: Option<usize>,
    /// Partitions that it is created with.
    pub wanted: i32,
}

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

pub(crate) fn broker_error<'a>(
    what: impl Into<String> + 'a,
    cluster: &'a ClusterSettings,
) -> impl FnOnce(KafkaError) -> TopicsError + 'a {
    move |error| TopicsError::Broker {
        what: what.into(),
        bootstrap: cluster.bootstrap_servers.clone(),
        error: Box::new(error),
    }
}

/// Asks again, for a while, what a broker cannot answer yet: while a leader or a coordinator moves or is just being
/// chosen, and before a client has heard of a new topic. Blocks.
pub(crate) fn patiently<T>(ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let waits = ConstantBuilder::default()
        .with_delay(Duration::from_millis(200))
        .with_max_times(usize::try_from(ANSWER.as_millis() / 200).unwrap_or(1));
    ask.retry(waits)
        .when(|error| {
            matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::NotCoordinator
                        | RDKafkaErrorCode::CoordinatorNotAvailable
                        | RDKafkaErrorCode::CoordinatorLoadInProgress
                )
            )
        })
        .call()
}

/// First offset and end of a partition. Blocks.
pub(crate) fn watermarks(
    client: &BaseConsumer,
    cluster: &ClusterSettings,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), TopicsError> {
    patiently(|| client.fetch_watermarks(topic, partition, ANSWER))
        .map_err(broker_error(format!("end of {topic}[{partition}]"), cluster))
}

/// Each cluster with the topics that are on it.
fn by_cluster(settings: &Settings) -> Vec<(&ClusterSettings, Vec<(TopicRole, &str)>)> {
    let all = settings.topics.all();
    match &settings.events_cluster {
        None => vec![(&settings.internal_cluster, all)],
        Some(events) => {
            let (raw, internal) = all.into_iter().partition(|(role, _)| *role == TopicRole::Raw);
            vec![(events, raw), (&settings.internal_cluster, internal)]
        }
    }
}

/// Creates the topics that are missing; returns their names.
///
/// # Errors
/// When a broker cannot be reached or refuses.
pub async fn create(settings: &Settings) -> Result<Vec<String>, TopicsError> {
    let mut created = Vec::new();
    for (cluster, topics) in by_cluster(settings) {
        let admin: AdminClient<DefaultClientContext> = cluster::client(cluster)
            .create()
            .map_err(broker_error("the admin client cannot be made", cluster))?;
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            // -1: the broker's own default replication.
            .map(|(role, name)| NewTopic::new(name, role.partitions(), TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(ANSWER))
            .request_timeout(Some(ANSWER));
        let answers = admin
            .create_topics(&new, &options)
            .await
            .map_err(broker_error("topics cannot be created", cluster))?;
        for answer in answers {
            match answer {
                Ok(topic) => created.push(topic),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(TopicsError::Refused { topic, code }),
            }
        }
    }
    Ok(created)
}

/// Which of our topics are there. Blocks.
///
/// # Errors
/// When a broker cannot be reached.
pub fn list(settings: &Settings) -> Result<Vec<TopicState>, TopicsError> {
    let mut states = Vec::new();
    for (cluster, topics) in by_cluster(settings) {
        let client: BaseConsumer = cluster::client(cluster)
            .create()
            .map_err(broker_error("the client cannot be made", cluster))?;
        let metadata = client
            .fetch_metadata(None, ANSWER)
            .map_err(broker_error("topics cannot be listed", cluster))?;
        for (role, name) in topics {
            let partitions = metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == name && topic.error().is_none())
                .map(|topic| topic.partitions().len())
                .filter(|&count| count > 0);
            states.push(TopicState {
                name: name.to_owned(),
                partitions,
                wanted: role.partitions(),
            });
        }
    }
    Ok(states)
}

/// Asks for lag, again and again, over connections that it keeps.
pub struct LagReader {
    groups: Vec<Group>,
}

/// One stage's group and the partitions that it reads.
struct Group {
    stage: Stage,
    name: String,
    client: BaseConsumer,
    cluster: ClusterSettings,
    partitions: Vec<(String, i32)>,
}

impl LagReader {
    /// Connects for every stage's group. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached or a topic is missing.
    pub fn new(settings: &Settings) -> Result<Self, TopicsError> {
        let partitions = list(settings)?;
        let mut groups = Vec::new();
        for stage in Stage::all() {
            let role = stage.row().consumes;
            let cluster = settings.cluster_of(role);
            let group = settings.groups.of(stage);
            // A consumer that never subscribes never joins: it may ask for the group's positions all the same.
            let client: BaseConsumer = cluster::client(cluster)
                .set("group.id", &group)
                .set("enable.auto.commit", "false")
                .create()
                .map_err(broker_error("the client cannot be made", cluster))?;
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
                cluster: cluster.clone(),
                partitions: topics.collect(),
            });
        }
        Ok(Self { groups })
    }

    /// Where each group stands now. Blocks.
    ///
    /// # Errors
    /// When a broker cannot be reached.
    pub fn read(&self) -> Result<Vec<PartitionLag>, TopicsError> {
        let mut lags = Vec::new();
        for Group {
            stage,
            name,
            client,
            cluster,
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
            let committed = patiently(|| client.committed_offsets(wanted.clone(), ANSWER))
                .map_err(broker_error(format!("positions of group {name}"), cluster))?;
            for (topic, partition) in partitions {
                let (start, end) = watermarks(client, cluster, topic, *partition)?;
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

/// How far back unfinished messages of a stage reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// The group has finished everything.
    NothingWaits,
    /// The oldest unfinished message was written then.
    Since(Timestamp),
    /// There are unfinished messages, and their age could not be read.
    Unknown,
}

/// The oldest message that a stage's group has not finished. Blocks for some seconds.
///
/// # Errors
/// When a broker cannot be reached.
pub fn oldest_unfinished(settings: &Settings, stage: Stage) -> Result<Oldest, TopicsError> {
    let lags: Vec<PartitionLag> = LagReader::new(settings)?
        .read()?
        .into_iter()
        .filter(|lag| lag.stage == stage)
        .collect();
    // A broker that restarts may not know its topics for a moment: that is no word that nothing waits.
    if lags.is_empty() {
        return Ok(Oldest::Unknown);
    }
    let behind: Vec<PartitionLag> = lags.into_iter().filter(|lag| lag.lag() > 0).collect();
    if behind.is_empty() {
        return Ok(Oldest::NothingWaits);
    }
    let cluster = settings.cluster_of(stage.row().consumes);
    let client: BaseConsumer = cluster::client(cluster)
        // librdkafka wants a group for any consumer; without a subscription it is never joined.
        .set("group.id", settings.groups.of(stage))
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "1024")
        .create()
        .map_err(broker_error("the client cannot be made", cluster))?;
    let mut heads = TopicPartitionList::new();
    for lag in &behind {
        let position = lag.committed.unwrap_or(lag.start).max(lag.start);
        heads
            .add_partition_offset(&lag.topic, lag.partition, Offset::Offset(position))
            .map_err(broker_error("a position cannot be read", cluster))?;
    }
    client
        .assign(&heads)
        .map_err(broker_error("a position cannot be read", cluster))?;
    let mut oldest = None;
    let mut waiting: HashSet<(String, i32)> = behind.into_iter().map(|lag| (lag.topic, lag.partition)).collect();
    let deadline = Instant::now() + ANSWER;
    while !waiting.is_empty() && Instant::now() < deadline {
        let Some(Ok(message)) = client.poll(Duration::from_millis(100)) else {
            continue;
        };
        // The first message of a partition is its oldest.
        if waiting.remove(&(message.topic().to_owned(), message.partition())) {
            let Some(written) = message
                .timestamp()
                .to_millis()
                .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            else {
                return Ok(Oldest::Unknown);
            };
            oldest = Some(oldest.map_or(written, |oldest: Timestamp| oldest.min(written)));
        }
    }
    Ok(match oldest {
        Some(oldest) if waiting.is_empty() => Oldest::Since(oldest),
        _ => Oldest::Unknown,
    })
}
