//! The stages and topics of the pipeline.
//!
//! The runtime, topic creation, `--worker` names, documents, compose file and Bicep are built from [`STAGES`] or checked
//! against it. Names here are defaults; [`Topics`] and [`Groups`] hold the configured ones.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A stage of the pipeline: one handler, one container, one consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Expands each event into one download task per attachment.
    EventIngester,
    /// Appends each event to `xact_events`.
    EventWriter,
    /// Downloads an attachment into the cache.
    Download,
    /// Writes a cached file to OneLake.
    Upload,
    /// Appends results to `xact_attachments` and `xact_attachments_failed`.
    ResultProcessor,
    /// Produces failed tasks back to pending when they are due.
    RetryScheduler,
    /// Audits dead letters.
    Dlq,
}

/// What a topic is for. Retry topics are one role: there is one topic per retry delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicRole {
    /// Assignment events from outside.
    Raw,
    /// Download tasks that are due.
    Pending,
    /// Downloaded files that wait for upload.
    Cached,
    /// Results of each attachment.
    Results,
    /// Download tasks that wait for another attempt.
    Retry,
    /// Messages that no further attempt is made for.
    Dlq,
}

/// One row of the topology.
#[derive(Debug, Clone, Copy)]
pub struct StageRow {
    /// The stage.
    pub stage: Stage,
    /// Name of the handler, its binary, its container and its `--worker` value.
    pub name: &'static str,
    /// The topic that it consumes.
    pub consumes: TopicRole,
    /// Consumer group without `KAFKA_CONSUMER_GROUP_PREFIX`.
    pub group: &'static str,
    /// The topics that it may produce to.
    pub produces: &'static [TopicRole],
    /// Delta tables that it appends to.
    pub tables: &'static [&'static str],
    /// Lag that justifies one more replica (KEDA's `lagThreshold`).
    pub lag_threshold: u32,
    /// Default number of messages that one process handles at the same time.
    pub concurrency: usize,
}

use TopicRole::{Cached, Dlq, Pending, Raw, Results, Retry};

/// The topology: one row for each stage.
pub const STAGES: [StageRow; 7] = [
    StageRow {
        stage: Stage::EventIngester,
        name: "event-ingester",
        consumes: Raw,
        group: "event-ingester",
        produces: &[Pending, Results, Dlq],
        tables: &[],
        lag_threshold: 1000,
        concurrency: 64,
    },
    StageRow {
        stage: Stage::EventWriter,
        name: "event-writer",
        consumes: Raw,
        group: "event-writer",
        produces: &[],
        tables: &["xact_events"],
        lag_threshold: 5000,
        concurrency: 1,
    },
    StageRow {
        stage: Stage::Download,
        name: "download",
        consumes: Pending,
        group: "download-worker",
        produces: &[Cached, Retry, Results, Dlq],
        tables: &[],
        lag_threshold: 100,
        concurrency: 10,
    },
    StageRow {
        stage: Stage::Upload,
        name: "upload",
        consumes: Cached,
        group: "upload-worker",
        produces: &[Results, Pending, Retry, Dlq],
        tables: &[],
        lag_threshold: 100,
        concurrency: 10,
    },
    StageRow {
        stage: Stage::ResultProcessor,
        name: "result-processor",
        consumes: Results,
        group: "result-processor",
        produces: &[Dlq],
        tables: &["xact_attachments", "xact_attachments_failed"],
        lag_threshold: 5000,
        concurrency: 1,
    },
    StageRow {
        stage: Stage::RetryScheduler,
        name: "retry-scheduler",
        consumes: Retry,
        group: "retry-scheduler",
        produces: &[Pending, Dlq],
        tables: &[],
        lag_threshold: 1000,
        concurrency: 64,
    },
    StageRow {
        stage: Stage::Dlq,
        name: "dlq",
        consumes: Dlq,
        group: "dlq-handler",
        produces: &[],
        tables: &[],
        lag_threshold: 100,
        concurrency: 1,
    },
];

impl Stage {
    /// Returns this stage's row of [`STAGES`].
    #[must_use]
    pub const fn row(self) -> &'static StageRow {
        // The table is in the order of the enum; a test verifies it.
        &STAGES[self as usize]
    }

    /// Returns the handler's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether this stage may produce to topics of a role.
    #[must_use]
    pub const fn may_produce(self, role: TopicRole) -> bool {
        let produces = self.row().produces;
        let mut index = 0;
        while index < produces.len() {
            if produces[index] as u8 == role as u8 {
                return true;
            }
            index += 1;
        }
        false
    }

    /// Returns every stage, upstream first.
    pub fn all() -> impl Iterator<Item = Self> {
        STAGES.iter().map(|row| row.stage)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `--worker` name is not in the table.
#[derive(Debug, thiserror::Error)]
#[error("there is no worker {0:?}; the workers are {names}", names = STAGES.map(|row| row.name).join(", "))]
pub struct UnknownStageError(String);

impl FromStr for Stage {
    type Err = UnknownStageError;

    fn from_str(name: &str) -> Result<Self, UnknownStageError> {
        let row = STAGES.iter().find(|row| row.name == name);
        row.map(|row| row.stage)
            .ok_or_else(|| UnknownStageError(name.to_owned()))
    }
}

impl TopicRole {
    /// Returns the number of partitions that a topic of this role is created with.
    #[must_use]
    pub const fn partitions(self) -> i32 {
        match self {
            Raw | Pending | Cached | Results => 6,
            Retry | Dlq => 3,
        }
    }
}

/// The configured topic names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// `EVENTHUB_EVENTS_TOPIC`.
    pub raw: String,
    /// `KAFKA_DOWNLOADS_PENDING_TOPIC`.
    pub pending: String,
    /// `KAFKA_DOWNLOADS_CACHED_TOPIC`.
    pub cached: String,
    /// `KAFKA_DOWNLOADS_RESULTS_TOPIC`.
    pub results: String,
    /// `KAFKA_DLQ_TOPIC`.
    pub dlq: String,
    /// One for each delay of `RETRY_DELAYS`, in its order.
    pub retries: Vec<RetryTopic>,
}

/// A retry topic and how long a task waits in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryTopic {
    /// `{pending}.retry.{delay}`.
    pub name: String,
    /// Time from the failure until the task is due.
    pub delay: Duration,
}

/// Default of `RETRY_DELAYS`, in seconds.
pub const DEFAULT_RETRY_DELAYS: [u64; 4] = [300, 600, 1200, 2400];

impl Topics {
    /// Returns the retry topics of these delays: `{pending}.retry.5m` for whole minutes, `….retry.90s` for others.
    #[must_use]
    pub fn retry_topics(pending: &str, delays: &[Duration]) -> Vec<RetryTopic> {
        let label = |seconds: u64| match seconds {
            1.. if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        };
        let topic = |&delay: &Duration| RetryTopic {
            name: format!("{pending}.retry.{}", label(delay.as_secs())),
            delay,
        };
        delays.iter().map(topic).collect()
    }

    /// Returns the topics of a role: one, or all retry topics.
    #[must_use]
    pub fn of(&self, role: TopicRole) -> Vec<&str> {
        match role {
            Raw => vec![&self.raw],
            Pending => vec![&self.pending],
            Cached => vec![&self.cached],
            Results => vec![&self.results],
            Dlq => vec![&self.dlq],
            Retry => self.retries.iter().map(|topic| topic.name.as_str()).collect(),
        }
    }

    /// Returns every topic with its role, upstream first.
    #[must_use]
    pub fn all(&self) -> Vec<(TopicRole, &str)> {
        let roles = [Raw, Pending, Cached, Results, Dlq, Retry].into_iter();
        let named = roles.flat_map(|role| self.of(role).into_iter().map(move |name| (role, name)));
        named.collect()
    }

    /// Returns the role of a topic, if it is one of these.
    #[must_use]
    pub fn role_of(&self, topic: &str) -> Option<TopicRole> {
        let (role, _) = self.all().into_iter().find(|&(_, name)| name == topic)?;
        Some(role)
    }
}

impl Default for Topics {
    fn default() -> Self {
        let pending = "xact.downloads.pending";
        Self {
            raw: "xact.events.raw".to_owned(),
            pending: pending.to_owned(),
            cached: "xact.downloads.cached".to_owned(),
            results: "xact.downloads.results".to_owned(),
            dlq: "xact.downloads.dlq".to_owned(),
            retries: Self::retry_topics(pending, &DEFAULT_RETRY_DELAYS.map(Duration::from_secs)),
        }
    }
}

/// The configured consumer groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// `KAFKA_CONSUMER_GROUP_PREFIX`.
    pub prefix: String,
    /// `EVENTHUB_CONSUMER_GROUP`.
    pub event_ingester: String,
}

impl Groups {
    /// Returns the consumer group of a stage.
    #[must_use]
    pub fn of(&self, stage: Stage) -> String {
        match stage {
            Stage::EventIngester => self.event_ingester.clone(),
            _ => format!("{}-{}", self.prefix, stage.row().group),
        }
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            prefix: "xact".to_owned(),
            event_ingester: "xact-event-ingester".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for row in &STAGES {
            assert_eq!(row.stage.row().name, row.name);
            assert_eq!(row.name.parse::<Stage>().unwrap(), row.stage);
        }
    }

    #[test]
    fn nine_topics_fit_a_standard_namespace() {
        let topics = Topics::default();
        let names: Vec<_> = topics.all().into_iter().map(|(_, name)| name).collect();
        let expected = "xact.events.raw xact.downloads.pending xact.downloads.cached xact.downloads.results \
            xact.downloads.dlq xact.downloads.pending.retry.5m xact.downloads.pending.retry.10m \
            xact.downloads.pending.retry.20m xact.downloads.pending.retry.40m";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn default_groups() {
        let groups = Groups::default();
        let names: Vec<_> = Stage::all().map(|stage| groups.of(stage)).collect();
        let expected = "xact-event-ingester xact-event-writer xact-download-worker xact-upload-worker \
            xact-result-processor xact-retry-scheduler xact-dlq-handler";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn delays_of_whole_minutes_are_named_in_minutes_others_in_seconds() {
        let delays = [1, 60, 90, 0].map(Duration::from_secs);
        let topics = Topics::retry_topics("p", &delays);
        let names: Vec<_> = topics.iter().map(|topic| &topic.name).collect();
        assert_eq!(names, ["p.retry.1s", "p.retry.1m", "p.retry.90s", "p.retry.0s"]);
    }

    #[test]
    fn the_error_for_an_unknown_worker_lists_the_known_ones() {
        let error = "uploads".parse::<Stage>().unwrap_err().to_string();
        assert!(
            error.starts_with("there is no worker \"uploads\"; the workers are event-ingester, "),
            "{error}"
        );
    }
}
