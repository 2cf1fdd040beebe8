//! Carries out the plan of a settlement.
//!
//! An entry is marked only after its message is acknowledged. If the process is killed in between, the entry still waits, and
//! replaying it again sends the same message, with the same replay count: its rows have the same keys in the tables and are
//! skipped. Nothing is lost and no row is added twice; the download may run twice.

use std::collections::HashSet;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::entry::{EntryId, Mark, Settlement};
use super::plan::SettlementPlan;
use super::replay::{self, ReplayRules};
use super::topic::DeadLetterTopic;
use crate::blocking::blocking;
use crate::delivery::Delivery;
use crate::error::OperationError;
use xact_config::Settings;
use xact_contracts::topology::TopicRole;
use xact_kafka::Outgoing;
use xact_kafka::admin::Tombstones;
use xact_telemetry::trace_context::TraceContext;

/// Maximum number of entries that are sent, acknowledged and marked together.
const BATCH: usize = 20;
/// A batch is sent when its messages reach this size, in bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// An entry that is settled.
#[derive(Debug, Clone, Serialize)]
pub struct SettledEntry {
    /// The entry.
    #[serde(flatten)]
    pub id: EntryId,
    /// How it is settled.
    #[serde(rename = "action")]
    pub settlement: Settlement,
    /// The topic that its message went to.
    pub topic: Option<String>,
}

/// An entry that is being settled.
struct Step {
    id: EntryId,
    trace: TraceContext,
    /// What a replay sends.
    message: Option<Outgoing>,
}

/// What came of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Execution {
    /// Entries that are settled now.
    pub settled: usize,
    /// Planned entries that somebody else had settled since the plan was made.
    pub settled_meanwhile: usize,
}

/// Settles the planned entries that still wait, batch by batch, and calls `on_batch` after each. `settings` must be those that
/// the plan was made with; `by`, who settles them, is written to their marks.
///
/// Two executions at the same time are safe, although both may send a message before they see each other's mark: its rows have
/// the same keys.
///
/// # Errors
/// When a message or a mark is not acknowledged, or the topic cannot be read. What is settled so far stays settled; the
/// operation can be repeated.
pub async fn execute(
    settings: &Settings,
    plan: SettlementPlan,
    by: &str,
    mut on_batch: impl FnMut(&[SettledEntry]),
) -> Result<Execution, OperationError> {
    if plan.planned().next().is_none() {
        return Ok(Execution::default());
    }
    let settlement = plan.settlement;
    let marks = Tombstones::new(&settings.internal_cluster, &settings.topics.dlq)?;
    let internal = Delivery::new(&settings.internal_cluster)?;
    let events = settings.events_cluster.as_ref().map(Delivery::new).transpose()?;
    let is_raw = |message: &Outgoing| settings.topics.role_of(&message.topic) == Some(TopicRole::Raw);
    let (batches, mut received) = mpsc::channel::<Vec<Step>>(1);
    let reading = {
        let settings = settings.clone();
        blocking(move || read_batches(&plan, &settings, &batches))
    };
    // Owns the receiver, so that reading ends when sending fails.
    let sending = async move {
        let mut settled = 0;
        while let Some(batch) = received.recv().await {
            let messages = batch.iter().filter_map(|step| step.message.clone());
            let (to_events, to_internal): (Vec<_>, Vec<_>) =
                messages.partition(|message| events.is_some() && is_raw(message));
            internal.send(&to_internal).await?;
            if let Some(events) = &events {
                events.send(&to_events).await?;
            }
            let now = Timestamp::now();
            let tombstones = batch
                .iter()
                .map(|step| Mark::tombstone(step.id, settlement, by, now, &step.trace));
            marks.write(&tombstones.collect::<Vec<_>>()).await?;
            settled += batch.len();
            let entries = batch.into_iter().map(|step| SettledEntry {
                id: step.id,
                settlement,
                topic: step.message.map(|message| message.topic),
            });
            on_batch(&entries.collect::<Vec<_>>());
        }
        Ok::<_, OperationError>(settled)
    };
    let (settled, read) = tokio::join!(sending, reading);
    Ok(Execution {
        settled: settled?,
        settled_meanwhile: read?,
    })
}

/// Reads the planned entries again, because a plan holds no messages, and others may have settled them. Returns how many they
/// have. Blocks while the receiver is busy.
fn read_batches(
    plan: &SettlementPlan,
    settings: &Settings,
    batches: &mpsc::Sender<Vec<Step>>,
) -> Result<usize, OperationError> {
    let planned: HashSet<EntryId> = plan.planned().map(|entry| entry.id).collect();
    let rules = ReplayRules::new(settings, plan.planned_at);
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut refused = None;
    let mut settled_meanwhile = 0;
    let ids: Vec<EntryId> = planned.iter().copied().collect();
    DeadLetterTopic::open_at(settings, &ids)?.visit(|entry| {
        if !planned.contains(&entry.id) {
            return ControlFlow::Continue(());
        }
        if entry.mark.is_some() {
            settled_meanwhile += 1;
            return ControlFlow::Continue(());
        }
        let message = match plan.settlement {
            Settlement::Resolved => None,
            Settlement::Replayed => match replay::message(&entry, &rules) {
                Ok(message) => Some(message),
                // The plan was made from the same entry at the same time, so only other settings can refuse it.
                Err(reason) => {
                    refused = Some(format!(
                        "{} can no longer be replayed ({reason}): make the plan again. Entries settled so far stay settled",
                        entry.id
                    ));
                    return ControlFlow::Break(());
                }
            },
        };
        bytes += message.as_ref().map_or(0, |message| message.value.len());
        batch.push(Step {
            id: entry.id,
            trace: entry.trace(),
            message,
        });
        if batch.len() < BATCH && bytes < BATCH_BYTES {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        // The receiver is gone if sending failed; that error is returned.
        match batches.blocking_send(std::mem::take(&mut batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    refused.map_or(Ok(settled_meanwhile), |reason| Err(reason.into()))
}
