//! The polling loop of one worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::begin::OnAssigned;
use super::errors::ConsumeError;
use super::flow::{Held, Limits};
use super::hooks::{Hooks, broker_component, commit_moved};
use super::refusal::Refusal;
use super::stuck::Standstills;
use super::{Sink, Taken, gaps};
use crate::offset_tracker::Take;
use xact_config::{ClusterSettings, OffsetReset, Settings};
use xact_kafka::CommitMetadata;
use xact_kafka::Record;
use xact_kafka::Wake;
use xact_kafka::client_config;
use xact_kafka::{Connection, HealthReporter, Permission, TopicAuthorization};
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// Longest wait of the loop, when nothing wakes it and nothing is due: the thread shows that it is not stuck, and that it
/// polls, long before anybody doubts it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Records between two looks at limits, new partitions and commits, when they come without a pause.
const UPKEEP_EVERY: u32 = 64;

/// Part of the shutdown grace that a rebalance may wait for running work: the group waits with it.
const REVOKE_GRACE: Duration = Duration::from_secs(20);

/// What a broker may take to answer a fetch, beyond the wait that it was asked for, before it counts as hanging.
const SILENCE: Duration = Duration::from_secs(10);

/// What a broker may take to answer a question, beyond a fetch that it was asked for before: it answers those of one
/// connection in their order. The polling thread has other partitions as well.
const ANSWER: Duration = Duration::from_secs(3);

/// Why a worker is not ready before its group gives it its share.
pub(super) const NO_SHARE: &str = "waiting for the consumer group's assignment";

/// What a worker reads, and within which bounds.
pub(crate) struct Subscription<'a> {
    pub(crate) worker: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) cluster: &'a ClusterSettings,
    pub(crate) group: &'a str,
    pub(crate) topics: &'a [&'a str],
    pub(crate) limits: Limits,
    pub(crate) reset: OffsetReset,
    pub(crate) health: Health,
    pub(crate) drain: CancellationToken,
}

/// One worker's consumer.
pub(crate) struct Consumer {
    pub(super) client: BaseConsumer<Hooks>,
    pub(super) limits: Limits,
    pub(super) held: Arc<Held>,
    pub(super) wake: Wake,
    pub(super) reset: OffsetReset,
    /// Longest wait for an answer of a broker that may still have a fetch to answer.
    pub(super) answer: Duration,
    pub(super) commit_interval: Duration,
    pub(super) next_commit: Instant,
    pub(super) grace: Duration,
    pub(super) drain: CancellationToken,
    /// Paused in librdkafka now.
    pub(super) paused: HashSet<(Arc<str>, i32)>,
    pub(super) full: bool,
    /// Partitions that wait for `prime`, and when to try next.
    pub(super) next_prime: Instant,
    /// The topics may not be read, as the broker said last.
    pub(super) refusal: Option<Refusal>,
}

impl Consumer {
    pub(crate) fn new(subscription: Subscription<'_>) -> Result<Self, ConsumeError> {
        let Subscription {
            worker,
            settings,
            cluster,
            group,
            topics,
            limits,
            reset,
            health,
            drain,
        } = subscription;
        let report = HealthReporter {
            health: health.clone(),
            component: broker_component(worker),
            // A fetch is answered before that, or the broker hangs.
            response_timeout: settings.fetch_wait + SILENCE,
        };
        let wake = Wake::default();
        let hooks = Hooks {
            worker: worker.to_owned(),
            group: group.to_owned(),
            standstills: Standstills::new(worker, group, health.clone(), settings.fetch_wait),
            skipped: Mutex::default(),
            health,
            connection: Connection::for_consumer(cluster, report),
            rights: TopicAuthorization::new(Permission::Receive, topics, cluster),
            revoke_grace: settings.shutdown_grace.min(REVOKE_GRACE),
            partitions: Mutex::default(),
            fresh: Mutex::default(),
            joined: AtomicBool::new(false),
            is_steady: AtomicBool::new(true),
            finished: AtomicBool::new(false),
            served: AtomicU64::new(0),
            wake: wake.clone(),
        };
        let mut client: BaseConsumer<Hooks> = client_config::consumer(cluster, settings, group)
            .create_with_context(hooks)
            .map_err(ConsumeError::Create)?;
        let waker = wake.clone();
        client.set_nonempty_callback(move || waker.wake());
        client.subscribe(topics).map_err(ConsumeError::Create)?;
        Ok(Self {
            client,
            limits,
            held: Held::new(limits, wake.clone()),
            wake,
            reset,
            answer: settings.fetch_wait + ANSWER,
            commit_interval: settings.commit_interval,
            next_commit: Instant::now() + settings.commit_interval,
            grace: settings.shutdown_grace,
            drain,
            paused: HashSet::new(),
            full: false,
            next_prime: Instant::now(),
            refusal: None,
        })
    }

    /// What wakes its thread: whoever cancels `drain` must do so.
    pub(crate) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Reads until told to drain; then waits for running work, commits and leaves the group. False if some work still ran
    /// at the end of the grace period.
    pub(crate) fn run(mut self, sink: &dyn Sink, on_assigned: &OnAssigned<'_>) -> Result<bool, ConsumeError> {
        let worker = self.hooks().worker.clone();
        self.hooks().health.starting(&worker, NO_SHARE);
        let mut result = Ok(());
        let mut since_upkeep = 0;
        while !self.drain.is_cancelled() {
            let served = self.served();
            let polled = self.client.poll(Duration::ZERO);
            // An event that came to the hooks is not a message, but there may be more behind it: the queue wakes the thread
            // only when it was empty before.
            let is_empty = polled.is_none() && self.served() == served;
            match polled {
                Some(Ok(message)) => {
                    if let Err(rewound) = self.accept(&message, sink) {
                        result = Err(rewound);
                        break;
                    }
                    since_upkeep += 1;
                    if since_upkeep < UPKEEP_EVERY {
                        continue;
                    }
                }
                Some(Err(error)) => {
                    if let Err(fatal) = self.poll_error(error) {
                        result = Err(fatal);
                        break;
                    }
                }
                None => {}
            }
            since_upkeep = 0;
            if self.hooks().connection.has_lost_all_brokers() {
                self.abandon();
                return Err(ConsumeError::Stranded);
            }
            self.hooks().health.beat(&worker);
            if self
                .hooks()
                .partitions()
                .values()
                .any(|partition| partition.is_outdated())
            {
                result = Err(ConsumeError::TableWentBack);
                break;
            }
            if let Err(refused) = self.prime(on_assigned) {
                result = Err(refused);
                break;
            }
            self.control_flow();
            if self
                .refusal
                .as_mut()
                .is_some_and(|refusal| refusal.is_over(&self.client, self.answer))
            {
                self.refusal = None;
            }
            if Instant::now() >= self.next_commit {
                let partitions: Vec<_> = self.hooks().partitions().values().cloned().collect();
                gaps::pass(&self.client, &partitions);
                commit_moved(&self.client, &partitions);
                self.next_commit = Instant::now() + self.commit_interval;
            }
            if is_empty {
                self.wake.wait(self.until_next_deadline());
            }
        }
        let drained = self.finish();
        result.map(|()| drained)
    }

    pub(super) fn hooks(&self) -> &Hooks {
        self.client.context()
    }

    fn served(&self) -> u64 {
        self.hooks().served.load(Ordering::Relaxed)
    }

    /// How long the loop may wait if nothing wakes it: until the next commit if there is anything to commit, and until new
    /// partitions are to be looked at again.
    fn until_next_deadline(&self) -> Duration {
        let hooks = self.hooks();
        let now = Instant::now();
        let mut deadline = now + LONGEST_WAIT;
        if !hooks.fresh().is_empty() {
            deadline = deadline.min(self.next_prime);
        }
        if hooks.partitions().values().any(|partition| partition.is_uncommitted()) {
            deadline = deadline.min(self.next_commit);
        }
        deadline.saturating_duration_since(now)
    }

    fn accept(&self, message: &BorrowedMessage<'_>, sink: &dyn Sink) -> Result<(), ConsumeError> {
        let partition = {
            let partitions = self.hooks().partitions();
            partitions.get(&(message.topic().into(), message.partition())).cloned()
        };
        let Some(partition) = partition else {
            return Ok(());
        };
        // The tracker cannot follow offsets that go back, and skipping them would be loss: begin anew from what is
        // committed, and let the tables say whether they agree.
        match partition.take(message.offset()) {
            Take::New => {}
            Take::Again => return Ok(()),
            Take::WentBack => {
                partition.went_back();
                self.commit_rewound(message);
                return Err(ConsumeError::Rewound {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                });
            }
        }
        let record = Record::of_message(message, Arc::clone(&partition.topic));
        metrics()
            .consumed_bytes(message.topic(), &self.hooks().group)
            .inc_by(record.payload.len() as u64);
        // What the record costs besides its payload, by a generous guess: a task, strings, the decoded form.
        let outstanding = self.held.hold(record.payload.len() + 1024);
        sink.take(Taken {
            record,
            partition,
            _outstanding: outstanding,
        });
        Ok(())
    }

    /// The committed position is the old topic's: what came since would be skipped.
    fn commit_rewound(&self, message: &BorrowedMessage<'_>) {
        let mut list = TopicPartitionList::new();
        let committed = CommitMetadata::TopicRecreated
            .add_to(&mut list, message.topic(), message.partition(), message.offset())
            .and_then(|()| self.client.commit(&list, CommitMode::Sync));
        if let Err(error) = committed {
            tracing::warn!(worker = self.hooks().worker, %error, "the position of a topic that went back was not committed");
        }
    }
}
