//! The polling loop of one worker.

use super::flow::{Held, Limits};
use super::hooks::{Hooks, broker_component, commit_all, commit_moved};
use super::partition::Partition;
use super::refusal::{LOOK_AGAIN, Refusal};
use super::{Sink, Taken, prime};
use crate::cluster;
use crate::commit_note::CommitNote;
use crate::config::{ClusterSettings, OffsetReset, Settings};
use crate::connection::{Connection, Report, Right, Rights};
use crate::handler::{AssignError, Assigned, Starts};
use crate::health::Health;
use crate::metrics::metrics;
use crate::offsets::Take;
use crate::record::Record;
use crate::trouble::is_authorization;
use crate::wake::Wake;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, TopicPartitionList};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Longest wait of the loop, when nothing wakes it and nothing is due: the thread shows that it is not stuck, and that it
/// polls, long before anybody doubts it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Records between two looks at limits, new partitions and commits, when they come without a pause.
const UPKEEP_EVERY: u32 = 64;

/// How long the loop waits for room before it pauses partitions. While work goes on, room comes within milliseconds, and
/// each pause throws away what librdkafka has fetched ahead. A rebalance may wait so much longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Part of the shutdown grace that a rebalance may wait for running work: the group waits with it.
const REVOKE_GRACE: Duration = Duration::from_secs(20);

/// What a broker may take to answer a fetch, beyond the wait that it was asked for, before it counts as hanging.
const SILENCE: Duration = Duration::from_secs(10);

/// What a broker may take to answer a question, beyond a fetch that it was asked for before: it answers those of one
/// connection in their order. The polling thread has other partitions as well.
const ANSWER: Duration = Duration::from_secs(3);

/// Why a worker is not ready before its group gives it its share.
const NO_SHARE: &str = "waiting for the consumer group's assignment";

/// Why a worker's consumer stopped by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsumeError {
    #[error("the Kafka consumer cannot be made: {0}; check the bootstrap servers and the security settings")]
    Create(KafkaError),
    #[error("the consumer is beyond repair: {0}")]
    Fatal(KafkaError),
    #[error(
        "{topic}[{partition}] went back to offset {offset}: the topic was recreated, or its offsets were reset under the running worker"
    )]
    Rewound { topic: String, partition: i32, offset: i64 },
    #[error("the client knows no broker any more, since its cluster named none for a moment: connecting anew")]
    Stranded,
    #[error("{0}")]
    Refused(String),
}

/// Asks the stage about its new partitions.
pub(crate) type OnAssigned<'a> = dyn Fn(&[Assigned]) -> Result<Starts, AssignError> + 'a;

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
    client: BaseConsumer<Hooks>,
    limits: Limits,
    held: Arc<Held>,
    wake: Wake,
    reset: OffsetReset,
    /// Longest wait for an answer of a broker that may still have a fetch to answer.
    answer: Duration,
    commit_interval: Duration,
    next_commit: Instant,
    grace: Duration,
    drain: CancellationToken,
    /// Paused in librdkafka now.
    paused: HashSet<(Arc<str>, i32)>,
    full: bool,
    /// Partitions that wait for `prime`, and when to try next.
    next_prime: Instant,
    /// The topics may not be read, as the broker said last.
    refusal: Option<Refusal>,
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
        let report = Report {
            health: health.clone(),
            component: broker_component(worker),
            // A fetch is answered before that, or the broker hangs.
            silent_after: settings.fetch_wait + SILENCE,
        };
        let wake = Wake::default();
        let hooks = Hooks {
            worker: worker.to_owned(),
            group: group.to_owned(),
            health,
            connection: Connection::of_consumer(cluster, report),
            rights: Rights::new(Right::Receive, topics, cluster),
            revoke_grace: settings.shutdown_grace.min(REVOKE_GRACE),
            partitions: std::sync::Mutex::default(),
            fresh: std::sync::Mutex::default(),
            joined: AtomicBool::new(false),
            is_steady: AtomicBool::new(true),
            finished: AtomicBool::new(false),
            served: AtomicU64::new(0),
            wake: wake.clone(),
        };
        let mut client: BaseConsumer<Hooks> = cluster::consumer(cluster, settings, group, reset)
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
            // An event that came to the hooks is no message, but there may be more behind it: the queue wakes the thread
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
            if self.hooks().connection.is_stranded() {
                self.abandon();
                return Err(ConsumeError::Stranded);
            }
            self.hooks().health.beat(&worker);
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

    fn hooks(&self) -> &Hooks {
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
            .consumed_bytes
            .with_label_values(&[message.topic(), &self.hooks().group])
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
        let committed = CommitNote::WentBack
            .add(&mut list, message.topic(), message.partition(), message.offset())
            .and_then(|()| self.client.commit(&list, CommitMode::Sync));
        if let Err(error) = committed {
            tracing::warn!(worker = self.hooks().worker, %error, "the position of a topic that went back was not committed");
        }
    }

    fn poll_error(&mut self, error: KafkaError) -> Result<(), ConsumeError> {
        let hooks = self.client.context();
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => return Err(ConsumeError::Fatal(error)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                let advice = format!(
                    "a topic is missing ({error}): create the topics with `xact-pipeline topics create`, or by the deployment"
                );
                // A restarting broker may say so of topics that it has: then there is an assignment, and it goes on.
                if hooks.partitions().is_empty() {
                    hooks.joined.store(false, Ordering::Relaxed);
                    hooks.health.down(&hooks.worker, advice);
                } else {
                    tracing::warn!(worker = hooks.worker, advice);
                }
            }
            Some(code) if is_authorization(code) => {
                if hooks.partitions().is_empty() {
                    hooks.joined.store(false, Ordering::Relaxed);
                }
                self.refusal = Some(Refusal::new(hooks, error.to_string()));
            }
            _ => tracing::debug!(worker = hooks.worker, %error, "poll"),
        }
        Ok(())
    }

    /// Looks at new partitions; they stay paused until that succeeds.
    fn prime(&mut self, on_assigned: &OnAssigned<'_>) -> Result<(), ConsumeError> {
        let hooks = self.client.context();
        if !hooks.joined.load(Ordering::Relaxed) {
            return Ok(());
        }
        let fresh: Vec<Arc<Partition>> = hooks.fresh().clone();
        if fresh.is_empty() {
            // With nothing to do, it is ready for more only as a member of the group: it may have lost all it had.
            let has_share = hooks.is_steady.load(Ordering::Relaxed) || !hooks.partitions().is_empty();
            match (&self.refusal, has_share) {
                (Some(_), _) => {}
                (None, true) => hooks.health.up(&hooks.worker),
                (None, false) => hooks.health.starting(&hooks.worker, NO_SHARE),
            }
            return Ok(());
        }
        if Instant::now() < self.next_prime {
            return Ok(());
        }
        let positions = match prime::positions(&self.client, &fresh, self.reset, self.answer) {
            Ok(positions) if !positions.is_empty() => positions,
            Err(error) if error.rdkafka_error_code().is_some_and(is_authorization) => {
                hooks.tell_refused(&error.to_string());
                self.next_prime = Instant::now() + LOOK_AGAIN;
                return Ok(());
            }
            answer => {
                let error = answer
                    .err()
                    .map_or_else(|| "no partition has a leader".to_owned(), |error| error.to_string());
                hooks.health.down(
                    &hooks.worker,
                    format!("the positions of new partitions cannot be read: {error}"),
                );
                self.next_prime = Instant::now() + Duration::from_secs(1);
                return Ok(());
            }
        };
        hooks.rights.granted();
        self.refusal = None;
        let assigned: Vec<Assigned> = positions.iter().map(|start| start.assigned.clone()).collect();
        let wanted = match on_assigned(&assigned) {
            Ok(wanted) => wanted,
            Err(AssignError::Unavailable(unavailable)) => {
                hooks.health.down(&hooks.worker, unavailable.to_string());
                self.next_prime = Instant::now() + Duration::from_secs(1);
                return Ok(());
            }
            Err(AssignError::Refused(reason)) => return Err(ConsumeError::Refused(reason)),
        };
        let starts: Vec<(&Assigned, i64)> = positions
            .iter()
            .filter(|start| !start.partition.has_position())
            .filter_map(|prime::Start { assigned, .. }| match wanted.get(&assigned.app_id) {
                Some(&elsewhere) => Some((assigned, elsewhere)),
                None => (assigned.committed != Some(assigned.start)).then_some((assigned, assigned.start)),
            })
            .collect();
        if let Err(error) = prime::begin_at(&self.client, &starts) {
            // The group is still rebalancing: nothing is read before the positions are there.
            tracing::debug!(worker = hooks.worker, %error, "start positions not committed yet");
            self.next_prime = Instant::now() + Duration::from_millis(200);
            return Ok(());
        }
        for (assigned, _) in &starts {
            prime::tell_expired(&hooks.worker, assigned);
        }
        let mut list = TopicPartitionList::new();
        hooks
            .fresh()
            .retain(|waiting| !positions.iter().any(|start| Arc::ptr_eq(&start.partition, waiting)));
        for partition in positions.iter().map(|start| &start.partition) {
            if !self.full {
                list.add_partition(&partition.topic, partition.id);
            } else {
                self.paused.insert((Arc::clone(&partition.topic), partition.id));
            }
        }
        let _ = self.client.resume(&list);
        if hooks.fresh().is_empty() {
            hooks.health.up(&hooks.worker);
        }
        Ok(())
    }

    fn wait_for_room(&self) {
        let until = Instant::now() + PATIENCE;
        while self.held.is_full() && Instant::now() < until && !self.drain.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Pauses and resumes partitions so that what is held stays within the limits.
    fn control_flow(&mut self) {
        if !self.full {
            self.wait_for_room();
        }
        if self.held.is_full() {
            self.full = true;
        }
        if self.full {
            self.held.await_room();
            self.full = !self.held.has_room();
        }
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        {
            let hooks = self.client.context();
            let partitions = hooks.partitions();
            self.paused.retain(|key| partitions.contains_key(key));
            if !self.full
                && self.paused.is_empty()
                && !partitions
                    .values()
                    .any(|partition| partition.window() >= self.limits.window)
            {
                return;
            }
            let fresh = hooks.fresh();
            for (key, partition) in partitions.iter() {
                if fresh.iter().any(|waiting| Arc::ptr_eq(waiting, partition)) {
                    continue;
                }
                let is_paused = self.paused.contains(key);
                let is_far = partition.window() >= self.limits.window;
                if is_paused || is_far {
                    partition.await_window(self.limits.window / 2);
                }
                let far_ahead = is_far || (is_paused && partition.window() > self.limits.window / 2);
                match (self.full || far_ahead, is_paused) {
                    (true, false) => {
                        pause.add_partition(&key.0, key.1);
                        self.paused.insert(key.clone());
                    }
                    (false, true) => {
                        resume.add_partition(&key.0, key.1);
                        self.paused.remove(key);
                    }
                    _ => {}
                }
            }
        }
        if pause.count() > 0 {
            let _ = self.client.pause(&pause);
        }
        if resume.count() > 0 {
            let _ = self.client.resume(&resume);
        }
    }

    /// Stops at once: no position can be committed any more, so what runs is done again in any case.
    fn abandon(self) {
        let hooks = self.hooks();
        hooks.finished.store(true, Ordering::Relaxed);
        hooks.let_go();
        // The wait for the next start is no stuck thread.
        hooks.health.forget(&hooks.worker);
        hooks.health.forget(&hooks.broker_component());
        // To drop it is to wait for its threads, and that of a broker that was given up may never end.
        std::thread::spawn(move || drop(self));
    }

    /// Drains: nothing new begins, what runs may end within the grace period, its position is committed.
    fn finish(self) -> bool {
        let hooks = self.hooks();
        // A long grace period is no stuck thread.
        hooks.health.forget(&hooks.worker);
        let partitions: Vec<Arc<Partition>> = hooks.partitions().values().cloned().collect();
        for partition in &partitions {
            partition.revoke();
        }
        let deadline = Instant::now() + self.grace;
        let idle = partitions
            .iter()
            .filter(|partition| partition.wait_idle(deadline))
            .count();
        if idle < partitions.len() {
            tracing::warn!(
                worker = hooks.worker,
                partitions = partitions.len() - idle,
                "the grace period is over: unfinished work will be read again"
            );
        }
        commit_all(&self.client, &partitions);
        hooks.finished.store(true, Ordering::Relaxed);
        hooks.health.forget(&hooks.broker_component());
        tracing::info!(worker = hooks.worker, "drained and committed");
        // Dropping the client leaves the group.
        idle == partitions.len()
    }
}
