//! The step of the loop that begins with new partitions: they stay paused until their start positions are known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;

use super::errors::ConsumeError;
use super::partition::Partition;
use super::poller::{Consumer, NO_SHARE};
use super::refusal::LOOK_AGAIN;
use super::{gaps, prime};
use crate::handler::{AssignError, Assigned, Starts};
use xact_contracts::ids::AppId;
use xact_kafka::TablePositions;
use xact_kafka::is_authorization_error;

/// Between two looks at partitions that have no answer yet.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The same while the group rebalances, which is over soon.
const REBALANCE_INTERVAL: Duration = Duration::from_millis(200);

/// What a stage says of its new partitions.
pub(crate) struct Begin {
    /// Where it wants to begin instead.
    pub(crate) starts: Starts,
    /// How far its tables are, by app id.
    pub(crate) tables: BTreeMap<AppId, TablePositions>,
}

/// Asks the stage about its new partitions.
pub(crate) type OnAssigned<'a> = dyn Fn(&[Assigned]) -> Result<Begin, AssignError> + 'a;

impl Consumer {
    /// Looks at new partitions; they stay paused until that succeeds.
    pub(super) fn prime(&mut self, on_assigned: &OnAssigned<'_>) -> Result<(), ConsumeError> {
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
            Err(error) if error.rdkafka_error_code().is_some_and(is_authorization_error) => {
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
                self.next_prime = Instant::now() + RETRY_INTERVAL;
                return Ok(());
            }
        };
        hooks.rights.granted();
        self.refusal = None;
        let assigned: Vec<Assigned> = positions.iter().map(|start| start.assigned.clone()).collect();
        let Begin { starts: wanted, tables } = match on_assigned(&assigned) {
            Ok(begin) => begin,
            Err(AssignError::Unavailable(unavailable)) => {
                hooks.health.down(&hooks.worker, unavailable.to_string());
                self.next_prime = Instant::now() + RETRY_INTERVAL;
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
            self.next_prime = Instant::now() + REBALANCE_INTERVAL;
            return Ok(());
        }
        let unread = positions.iter().map(|start| &*start.partition);
        if gaps::has_position(&self.client, unread.filter(|partition| partition.is_new())) {
            // The client has not let go of an earlier assignment yet: what it knows is not of this one.
            self.next_prime = Instant::now() + REBALANCE_INTERVAL;
            return Ok(());
        }
        for (assigned, _) in &starts {
            prime::tell_expired(&hooks.worker, assigned);
        }
        let mut list = TopicPartitionList::new();
        hooks
            .fresh()
            .retain(|waiting| !positions.iter().any(|start| Arc::ptr_eq(&start.partition, waiting)));
        for prime::Start { partition, assigned } in &positions {
            partition.begin(wanted.get(&assigned.app_id).copied().unwrap_or(assigned.start));
            if let Some(tables) = tables.get(&assigned.app_id) {
                partition.set_tables(tables.clone());
            }
            partition.set_paused(self.full);
            if !self.full {
                list.add_partition(&partition.topic, partition.id);
            } else {
                self.paused.insert((Arc::clone(&partition.topic), partition.id));
            }
        }
        let _ = self.client.resume(&list);
        let left: Vec<Arc<Partition>> = hooks.fresh().clone();
        if left.is_empty() {
            hooks.health.up(&hooks.worker);
        } else {
            let left: Vec<String> = left.iter().map(|left| format!("{}[{}]", left.topic, left.id)).collect();
            hooks.health.down(
                &hooks.worker,
                format!(
                    "{} have no leader: check that every broker of the cluster runs. They are read by themselves when they have one",
                    left.join(", ")
                ),
            );
            self.next_prime = Instant::now() + RETRY_INTERVAL;
        }
        Ok(())
    }
}
