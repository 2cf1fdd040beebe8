//! The polling loop of one worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, TopicPartitionList};

use super::assignment::OnAssigned;
use super::authorization_failure::AuthorizationFailure;
use super::commit::{commit_changed, commit_now};
use super::consumer::{Consumer, WAITING_FOR_ASSIGNMENT};
use super::error::ConsumeError;
use super::in_flight::{InFlight, Sink};
use super::offset_gaps;
use super::offset_tracker::Tracked;
use super::partition::Partition;
use xact_kafka::{CommitMetadata, Record, is_authorization_error};

/// Longest wait of the loop when nothing is due. It bounds the interval of the thread's heartbeat and of its polls.
const MAX_WAIT_INTERVAL: Duration = Duration::from_secs(1);

/// Upkeep runs after this many records when they arrive without a pause.
const RECORDS_PER_UPKEEP: u32 = 64;

impl Consumer {
    /// Polls until a stop is requested, then drains. Returns whether all work ended within the grace period.
    pub(crate) fn run(mut self, sink: &dyn Sink, on_assigned: &OnAssigned<'_>) -> Result<bool, ConsumeError> {
        let callbacks = self.callbacks();
        callbacks.health.starting(&callbacks.worker, WAITING_FOR_ASSIGNMENT);
        let mut result = Ok(());
        while result.is_ok() && !self.stop.is_cancelled() {
            result = self.poll_once(sink, on_assigned);
        }
        if let Err(ConsumeError::AllBrokersLost) = result {
            self.abandon();
            return Err(ConsumeError::AllBrokersLost);
        }
        let drained = self.drain();
        result.map(|()| drained)
    }

    /// Handles one event of librdkafka's queue, does the upkeep that is due, and sleeps if the queue is empty.
    fn poll_once(&mut self, sink: &dyn Sink, on_assigned: &OnAssigned<'_>) -> Result<(), ConsumeError> {
        let events_before = self.events_served();
        let polled = self.client.poll(Duration::ZERO);
        // A poll that served a callback returns nothing, but more events may follow: librdkafka wakes the thread only when
        // its queue was empty before.
        let is_queue_empty = polled.is_none() && self.events_served() == events_before;
        match polled {
            Some(Ok(message)) => {
                self.accept(&message, sink)?;
                self.records_since_upkeep += 1;
                if self.records_since_upkeep < RECORDS_PER_UPKEEP {
                    return Ok(());
                }
            }
            Some(Err(error)) => self.handle_poll_error(error)?,
            None => {}
        }
        self.records_since_upkeep = 0;
        self.upkeep(on_assigned)?;
        if is_queue_empty {
            self.wake.wait(self.until_next_deadline());
        }
        Ok(())
    }

    /// Does what is due besides reading. It runs after each batch of records and before each sleep.
    fn upkeep(&mut self, on_assigned: &OnAssigned<'_>) -> Result<(), ConsumeError> {
        let callbacks = self.callbacks();
        if callbacks.connection.has_lost_all_brokers() {
            return Err(ConsumeError::AllBrokersLost);
        }
        callbacks.health.beat(&callbacks.worker);
        let needs_reread = |partition: &Arc<Partition>| partition.needs_reread();
        if callbacks.partitions.lock().values().any(needs_reread) {
            return Err(ConsumeError::TableWentBack);
        }
        self.resolve_start_positions(on_assigned)?;
        self.apply_back_pressure();
        self.check_authorization();
        self.commit_if_due();
        Ok(())
    }

    fn check_authorization(&mut self) {
        if let Some(failure) = &mut self.authorization_failure
            && failure.is_over(&self.client, self.request_timeout)
        {
            self.authorization_failure = None;
        }
    }

    fn commit_if_due(&mut self) {
        if Instant::now() < self.next_commit {
            return;
        }
        let partitions: Vec<_> = self.callbacks().partitions.lock().values().cloned().collect();
        offset_gaps::skip(&self.client, &partitions);
        commit_changed(&self.client, &partitions);
        self.next_commit = Instant::now() + self.commit_interval;
    }

    fn events_served(&self) -> u64 {
        self.callbacks().events_served.load(Ordering::Relaxed)
    }

    /// Returns how long the loop may sleep: until the next commit, if there is anything to commit, and until the next
    /// attempt to resolve start positions.
    fn until_next_deadline(&self) -> Duration {
        let callbacks = self.callbacks();
        let now = Instant::now();
        let mut deadline = now + MAX_WAIT_INTERVAL;
        if !callbacks.newly_assigned.lock().is_empty() {
            deadline = deadline.min(self.next_start_attempt);
        }
        let is_uncommitted = |partition: &Arc<Partition>| partition.is_uncommitted();
        if callbacks.partitions.lock().values().any(is_uncommitted) {
            deadline = deadline.min(self.next_commit);
        }
        deadline.saturating_duration_since(now)
    }

    /// Tracks a record's offset and passes the record on.
    fn accept(&self, message: &BorrowedMessage<'_>, sink: &dyn Sink) -> Result<(), ConsumeError> {
        let Some(partition) = self.assigned(message) else {
            return Ok(());
        };
        let tracked = partition.offsets().track(message.offset());
        match tracked {
            Tracked::New => {}
            Tracked::Duplicate => return Ok(()),
            // The tracker cannot follow lower offsets, and skipping them would lose records. The consumer starts again from
            // the committed offset, and the stage compares it with its tables.
            Tracked::WentBack => {
                partition.mark_stale();
                self.commit_lower_offset(message);
                return Err(ConsumeError::OffsetsWentBack {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                });
            }
        }
        let record = Record::of_message(message, Arc::clone(&partition.topic));
        partition.consumed_bytes.inc_by(record.payload.len() as u64);
        sink.accept(InFlight::new(record, partition, &self.memory));
        Ok(())
    }

    /// Returns the partition of a record, if it is assigned.
    fn assigned(&self, message: &BorrowedMessage<'_>) -> Option<Arc<Partition>> {
        let (topic, id) = (message.topic(), message.partition());
        let partitions = self.callbacks().partitions.lock();
        // A look-up by key would allocate one for each record; a worker has few partitions.
        let found = partitions
            .values()
            .find(|partition| partition.id == id && *partition.topic == *topic);
        found.cloned()
    }

    /// Commits the offset of a recreated topic. The committed offset of the deleted topic would skip its first records.
    fn commit_lower_offset(&self, message: &BorrowedMessage<'_>) {
        let mut list = TopicPartitionList::new();
        let committed = CommitMetadata::TopicRecreated
            .add_to(&mut list, message.topic(), message.partition(), message.offset())
            .and_then(|()| commit_now(&self.client, &list));
        if let Err(error) = committed {
            tracing::error!(
                worker = self.callbacks().worker,
                topic = message.topic(),
                partition = message.partition(),
                %error,
                "the position of a topic that went back was not committed: stop the workers of the group and set it with \
                 xact-pipeline offsets reset, or the first records of the topic may be skipped"
            );
        }
    }

    /// Handles an error of a poll. Most errors pass without action or recur; a partition that makes no progress for a while
    /// is reported with the last of them ([`super::stuck_partitions`]).
    pub(super) fn handle_poll_error(&mut self, error: KafkaError) -> Result<(), ConsumeError> {
        let callbacks = self.client.context();
        let skipped = callbacks.skipped_batch.lock().take();
        if let Some(reason) = skipped {
            let group = callbacks.group.clone();
            return Err(ConsumeError::BatchSkipped { reason, group });
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => return Err(ConsumeError::Fatal(error)),
            // A restarting broker may report this for existing topics. With an assignment, the consumer just continues.
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
                if callbacks.partitions.lock().is_empty() =>
            {
                callbacks.joined.store(false, Ordering::Relaxed);
                let reason = format!(
                    "a topic is missing ({error}): create the topics with `xact-pipeline topics create`, or by the deployment"
                );
                callbacks.health.down(&callbacks.worker, reason);
            }
            Some(code) if is_authorization_error(code) => {
                if callbacks.partitions.lock().is_empty() {
                    callbacks.joined.store(false, Ordering::Relaxed);
                }
                self.authorization_failure = Some(AuthorizationFailure::report(callbacks, error.to_string()));
            }
            _ => tracing::debug!(worker = callbacks.worker, %error, "poll"),
        }
        Ok(())
    }
}
