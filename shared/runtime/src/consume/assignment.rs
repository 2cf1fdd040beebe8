//! The step of the loop that resolves the start positions of newly assigned partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;

use super::authorization_failure::AUTHORIZATION_CHECK_INTERVAL;
use super::consumer::{Consumer, WAITING_FOR_ASSIGNMENT};
use super::error::ConsumeError;
use super::offset_gaps;
use super::partition::Partition;
use super::start_positions::{self, StartPosition};
use crate::handler::{AssignError, Assigned, Starts};
use xact_contracts::ids::AppId;
use xact_kafka::{TablePositions, is_authorization_error};

/// Delay before start positions are requested again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Delay before the next attempt while the group rebalances, which is over soon.
const REBALANCE_RETRY_DELAY: Duration = Duration::from_millis(200);

/// A stage's answer about its newly assigned partitions.
pub(crate) struct StageStarts {
    /// Where the stage requires to start instead.
    pub(crate) starts: Starts,
    /// The positions of the stage's tables.
    pub(crate) table_positions: BTreeMap<AppId, TablePositions>,
}

/// Asks the stage about its newly assigned partitions.
pub(crate) type OnAssigned<'a> = dyn Fn(&[Assigned]) -> Result<StageStarts, AssignError> + 'a;

/// Why an attempt ended without start positions.
enum Interrupted {
    RetryAfter(Duration),
    Fatal(ConsumeError),
}

impl Consumer {
    /// Resolves the start positions of newly assigned partitions and resumes them.
    ///
    /// A partition is paused when it is assigned, and stays so until its start position is known. This is the position of the
    /// stage's table, if the stage asks for it; else the committed offset, or the first record if that has expired; without
    /// a committed offset, the first record or the end, as configured. A start position that differs from the committed
    /// offset is committed before the first record is read: the lag is then correct from the beginning, also for the
    /// autoscaler. When a step fails, the partitions stay paused and all steps are repeated after a delay; other partitions
    /// are read meanwhile.
    pub(super) fn resolve_start_positions(&mut self, on_assigned: &OnAssigned<'_>) -> Result<(), ConsumeError> {
        let callbacks = self.client.context();
        if !callbacks.joined.load(Ordering::Relaxed) {
            return Ok(());
        }
        let newly_assigned: Vec<Arc<Partition>> = callbacks.newly_assigned.lock().clone();
        if newly_assigned.is_empty() {
            self.report_membership();
            return Ok(());
        }
        if Instant::now() < self.next_start_attempt {
            return Ok(());
        }
        match self.try_resolve(&newly_assigned, on_assigned) {
            Ok(()) => Ok(()),
            Err(Interrupted::RetryAfter(delay)) => {
                self.next_start_attempt = Instant::now() + delay;
                Ok(())
            }
            Err(Interrupted::Fatal(error)) => Err(error),
        }
    }

    fn try_resolve(
        &mut self,
        newly_assigned: &[Arc<Partition>],
        on_assigned: &OnAssigned<'_>,
    ) -> Result<(), Interrupted> {
        let positions = self.fetch_start_positions(newly_assigned)?;
        self.client.context().authorization.granted();
        self.authorization_failure = None;
        let stage = self.ask_stage(&positions, on_assigned)?;
        self.commit_start_positions(&positions, &stage.starts)?;
        self.resume(&positions, &stage);
        self.report_unavailable()
    }

    /// Reports readiness while no partition waits for its start position. An idle worker is ready only as a member of the
    /// group, because it may have lost all its partitions.
    fn report_membership(&self) {
        let callbacks = self.client.context();
        if self.authorization_failure.is_some() {
            return;
        }
        if callbacks.is_steady.load(Ordering::Relaxed) || !callbacks.partitions.lock().is_empty() {
            callbacks.health.up(&callbacks.worker);
        } else {
            callbacks.health.starting(&callbacks.worker, WAITING_FOR_ASSIGNMENT);
        }
    }

    fn fetch_start_positions(&self, newly_assigned: &[Arc<Partition>]) -> Result<Vec<StartPosition>, Interrupted> {
        let callbacks = self.client.context();
        let error = match start_positions::fetch(&self.client, newly_assigned, self.reset, self.request_timeout) {
            Ok(positions) if !positions.is_empty() => return Ok(positions),
            Ok(_) => "their offsets are not available (no leader, or no answer in time)".to_owned(),
            Err(error) if error.rdkafka_error_code().is_some_and(is_authorization_error) => {
                callbacks.report_denied(&error.to_string());
                return Err(Interrupted::RetryAfter(AUTHORIZATION_CHECK_INTERVAL));
            }
            Err(error) => error.to_string(),
        };
        let reason = format!("the positions of new partitions cannot be read: {error}");
        callbacks.health.down(&callbacks.worker, reason);
        Err(Interrupted::RetryAfter(RETRY_DELAY))
    }

    fn ask_stage(&self, positions: &[StartPosition], on_assigned: &OnAssigned<'_>) -> Result<StageStarts, Interrupted> {
        let assigned: Vec<Assigned> = positions.iter().map(|start| start.assigned.clone()).collect();
        on_assigned(&assigned).map_err(|error| match error {
            AssignError::Unavailable(unavailable) => {
                let callbacks = self.client.context();
                callbacks.health.down(&callbacks.worker, unavailable.to_string());
                Interrupted::RetryAfter(RETRY_DELAY)
            }
            AssignError::Refused(reason) => Interrupted::Fatal(ConsumeError::RejectedByStage(reason)),
        })
    }

    /// Commits the start positions that differ from the committed offsets, and seeks to them.
    fn commit_start_positions(&self, positions: &[StartPosition], wanted: &Starts) -> Result<(), Interrupted> {
        let worker = &self.client.context().worker;
        let changed: Vec<(&Assigned, i64)> = positions
            .iter()
            .filter(|start| start.partition.position().is_none())
            .filter_map(|StartPosition { assigned, .. }| match wanted.get(&assigned.app_id) {
                Some(&elsewhere) => Some((assigned, elsewhere)),
                None => (assigned.committed != Some(assigned.start)).then_some((assigned, assigned.start)),
            })
            .collect();
        if let Err(error) = start_positions::commit_and_seek(&self.client, &changed) {
            // The group is still rebalancing.
            tracing::debug!(worker, %error, "start positions not committed yet");
            return Err(Interrupted::RetryAfter(REBALANCE_RETRY_DELAY));
        }
        // After an assignment or a seek, librdkafka has no position until the first record. While it has one, the assignment
        // or the seek has not taken effect yet.
        let unread = positions.iter().map(|start| &*start.partition);
        if offset_gaps::has_position(&self.client, unread.filter(|partition| partition.offsets().is_unread())) {
            return Err(Interrupted::RetryAfter(REBALANCE_RETRY_DELAY));
        }
        for (assigned, _) in &changed {
            start_positions::warn_offsets_expired(worker, assigned);
        }
        Ok(())
    }

    /// Starts to read the partitions, unless back-pressure holds them.
    fn resume(&mut self, positions: &[StartPosition], stage: &StageStarts) {
        let mut list = TopicPartitionList::new();
        self.client
            .context()
            .newly_assigned
            .lock()
            .retain(|new| !positions.iter().any(|start| Arc::ptr_eq(&start.partition, new)));
        for StartPosition { partition, assigned } in positions {
            let start = stage.starts.get(&assigned.app_id).copied().unwrap_or(assigned.start);
            partition.offsets().set_start(start);
            if let Some(table_positions) = stage.table_positions.get(&assigned.app_id) {
                partition.table_positions.lock().clone_from(table_positions);
            }
            partition.set_paused(self.is_full);
            if self.is_full {
                self.paused.insert((Arc::clone(&partition.topic), partition.id));
            } else {
                list.add_partition(&partition.topic, partition.id);
            }
        }
        let _ = self.client.resume(&list);
    }

    /// Reports the worker as ready, unless partitions are left whose offsets are not available.
    fn report_unavailable(&self) -> Result<(), Interrupted> {
        let callbacks = self.client.context();
        let left: Vec<Arc<Partition>> = callbacks.newly_assigned.lock().clone();
        if left.is_empty() {
            callbacks.health.up(&callbacks.worker);
            return Ok(());
        }
        let left: Vec<String> = left.iter().map(|left| format!("{}[{}]", left.topic, left.id)).collect();
        let reason = format!(
            "the offsets of {} are not available (no leader, or no answer in time): check that every broker of the cluster runs. Reading starts when they are",
            left.join(", ")
        );
        callbacks.health.down(&callbacks.worker, reason);
        Err(Interrupted::RetryAfter(RETRY_DELAY))
    }
}
