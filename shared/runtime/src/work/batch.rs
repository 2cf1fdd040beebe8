//! Records in batches: collected by number, bytes or time, and made durable together.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use fail::fail_point;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::context::WorkerContext;
use super::serve::{Serve, problem_of_panic};
use crate::consume::{InFlight, Lease, Limits, Running, Sink};
use crate::handler::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Records, Refused, Starts, Unavailable,
};
use crate::routing::{RecordContext, Routed};
use xact_config::BatchSettings;
use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{Message, Problem};
use xact_kafka::{Record, TablePositions, backoff};
use xact_telemetry::metrics::metrics;

/// Most bytes of a batch. The handler's rows take about as much memory again.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Serves a [`BatchHandler`].
pub(super) struct BatchService<H> {
    pub(super) handler: H,
    pub(super) batch: BatchSettings,
}

/// A record of a batch with its decoded message.
struct Item<I> {
    record: Record,
    /// `None` for a record of `/invoke`.
    app_id: Option<AppId>,
    message: Result<Delivered<I>, Problem>,
}

impl<H: BatchHandler> BatchService<H> {
    fn decode(record: Record, app_id: Option<AppId>) -> Item<H::Input> {
        let message = match H::Input::decode(&record.payload) {
            Ok(input) => Ok(Delivered {
                input,
                source: record.source(),
                record_timestamp: record.timestamp,
                app_id: app_id.clone(),
            }),
            Err(error) => {
                // Logged at debug level: the stage that dead-letters the message logs the warning.
                tracing::debug!(topic = &*record.topic, partition = record.partition, offset = record.offset, %error, "unreadable message");
                Err(Problem::new(Category::Permanent, error.to_string()))
            }
        };
        Item {
            record,
            app_id,
            message,
        }
    }

    /// Makes the items durable. Returns the index and the problem of each one that never can be.
    ///
    /// A panic is caused by one record. The batch is halved until that record is alone. The halves keep their order, so that
    /// positions only grow.
    fn make_durable<'a>(
        &'a self,
        context: &'a WorkerContext,
        items: &'a [&'a Item<H::Input>],
    ) -> BoxFuture<'a, Result<Vec<(usize, Problem)>, Unavailable>> {
        Box::pin(async move {
            let readable: Vec<usize> = (0..items.len()).filter(|&index| items[index].message.is_ok()).collect();
            let unreadable = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((index, item.message.as_ref().err()?.clone())));
            match self.handle(context, items).await {
                Ok(refused) => {
                    let refused = refused?
                        .into_iter()
                        .filter_map(|Refused { index, problem }| Some((*readable.get(index)?, problem)));
                    Ok(unreadable.chain(refused).collect())
                }
                Err(problem) if readable.len() <= 1 => Ok(unreadable
                    .chain(readable.first().map(|&index| (index, problem)))
                    .collect()),
                Err(_) => {
                    let (first, second) = items.split_at(items.len() / 2);
                    let mut problems = self.make_durable(context, first).await?;
                    let offset = first.len();
                    let rest = self.make_durable(context, second).await?;
                    problems.extend(rest.into_iter().map(|(index, problem)| (offset + index, problem)));
                    Ok(problems)
                }
            }
        })
    }

    /// Calls the handler. The outer error is a panic.
    async fn handle(
        &self,
        context: &WorkerContext,
        items: &[&Item<H::Input>],
    ) -> Result<Result<Vec<Refused>, Unavailable>, Problem> {
        let batch = Batch {
            records: items.iter().filter_map(|item| item.message.as_ref().ok()).collect(),
            positions: positions(items),
        };
        let handler_context = Context {
            now: Timestamp::now(),
            record_timestamp: None,
        };
        let started = Instant::now();
        let handle = async {
            if cfg!(debug_assertions) {
                fail_point!(&format!("handle::{}", H::STAGE));
            }
            self.handler.handle(&batch, &handler_context).await
        };
        let handled = AssertUnwindSafe(handle).catch_unwind().await;
        if let Some(first) = items.first() {
            let duration = metrics().processing_duration(&first.record.topic, &context.group);
            duration.observe(started.elapsed().as_secs_f64());
        }
        handled.map_err(|panic| problem_of_panic(panic.as_ref()))
    }

    /// Returns the dead letters of the items with problems, by index.
    fn route(
        context: &WorkerContext,
        items: &[&Item<H::Input>],
        problems: &[(usize, Problem)],
    ) -> BTreeMap<usize, Routed> {
        let now = Timestamp::now();
        let route = |(index, problem): &(usize, Problem)| {
            let item = items[*index];
            let trace_id = match &item.message {
                Ok(message) => Some(message.input.trace_id().to_owned()),
                Err(_) => item.record.key.clone(),
            };
            let trace = item.record.trace.child();
            let on = RecordContext::new(&item.record, &trace, now);
            (*index, context.routing.failed(None, trace_id, problem, None, on))
        };
        problems.iter().map(route).collect()
    }

    /// Ends the trace of each message. A batch is one piece of work, but each of its messages has its own trace.
    fn trace(items: &[&Item<H::Input>]) {
        if !xact_telemetry::is_tracing() {
            return;
        }
        for item in items {
            let trace_id = item.message.as_ref().ok().map(|message| message.input.trace_id());
            let span = tracing::info_span!(
                "written",
                stage = H::STAGE.name(),
                trace_id,
                topic = &*item.record.topic,
                partition = item.record.partition,
                offset = item.record.offset,
            );
            let _ = xact_telemetry::continue_trace(&span, &item.record.trace);
        }
    }

    /// Works on a batch until it is done. Records whose partition is revoked are left to the partition's next owner.
    async fn process(&self, context: &WorkerContext, batch: Vec<InFlight>) {
        let mut delays = backoff::dependency();
        // Keeps readiness down until this batch is done or given up.
        let mut waiting = None;
        let mut pending: Vec<(Lease, Item<H::Input>)> = batch
            .into_iter()
            .map(|InFlight { record, lease }| {
                let app_id = lease.partition.app_id.clone();
                (lease, Self::decode(record, Some(app_id)))
            })
            .collect();
        loop {
            let mut running: Vec<Running> = Vec::with_capacity(pending.len());
            pending.retain(|(lease, _)| {
                let started = lease.partition.start_work();
                let is_started = started.is_some();
                running.extend(started);
                is_started
            });
            if pending.is_empty() {
                return;
            }
            let items: Vec<&Item<H::Input>> = pending.iter().map(|(_, item)| item).collect();
            match self.make_durable(context, &items).await {
                Ok(problems) => {
                    let routed = Self::route(context, &items, &problems);
                    for routed in routed.values() {
                        if context.deliver(routed, &context.drain).await.is_err() {
                            return;
                        }
                    }
                    drop(waiting);
                    if cfg!(debug_assertions) {
                        fail_point!(&format!("delivered::{}", H::STAGE), |_| std::process::abort());
                    }
                    Self::trace(&items);
                    self.complete(context, &pending, &routed);
                    return;
                }
                Err(unavailable) if unavailable.records == Records::ReadAgain => {
                    tracing::warn!(stage = H::STAGE.name(), reason = unavailable.reason, "reading again");
                    for (lease, _) in &pending {
                        lease.partition.request_reread();
                    }
                    return;
                }
                Err(unavailable) => waiting = Some(context.wait_for(&unavailable)),
            }
            // While the batch only waits, it does not count as running work and does not delay a rebalance.
            drop(running);
            let delay = delays.next().unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = context.drain.cancelled() => return,
            }
        }
    }

    /// Counts the records of a durable batch and marks them as done.
    fn complete(&self, context: &WorkerContext, batch: &[(Lease, Item<H::Input>)], routed: &BTreeMap<usize, Routed>) {
        // The table positions are set first, so that no offset is committed with positions from before its own rows.
        let leases = batch.iter().map(|(lease, _)| (&lease.partition.app_id, lease));
        for (app_id, lease) in leases.collect::<BTreeMap<_, _>>() {
            *lease.partition.table_positions.lock() = self.handler.table_positions(app_id);
        }
        let nothing = Routed::default();
        for (index, (lease, item)) in batch.iter().enumerate() {
            let routed = routed.get(&index).unwrap_or(&nothing);
            context.count(&item.record, routed, item.message.is_ok());
            lease.partition.done(item.record.offset);
        }
    }

    /// Collects batches, and works on one while the next one collects in the channel.
    async fn run(self: Arc<Self>, context: Arc<WorkerContext>, mut records: UnboundedReceiver<InFlight>) {
        while let Some(first) = records.recv().await {
            let deadline = tokio::time::Instant::now() + self.batch.wait;
            let mut bytes = first.record.payload.len();
            let mut batch = vec![first];
            while batch.len() < self.batch.records && bytes < MAX_BATCH_BYTES {
                let next = tokio::select! {
                    next = records.recv() => next,
                    () = tokio::time::sleep_until(deadline) => break,
                    () = context.drain.cancelled() => break,
                };
                let Some(next) = next else { break };
                bytes += next.record.payload.len();
                batch.push(next);
            }
            self.process(&context, batch).await;
        }
    }
}

/// Returns the next offset of each partition in the batch.
fn positions<I>(items: &[&Item<I>]) -> BTreeMap<AppId, i64> {
    let mut positions = BTreeMap::new();
    for item in items {
        // Unreadable records count as well, because their offsets are committed too.
        if let Some(app_id) = &item.app_id {
            let next = item.record.offset + 1;
            let position = positions.entry(app_id.clone()).or_insert(next);
            *position = next.max(*position);
        }
    }
    positions
}

impl<H: BatchHandler> Serve for BatchService<H> {
    fn limits(&self) -> Limits {
        // One batch is written while the next one collects.
        Limits::of_concurrency(1).with_records((2 * self.batch.records).max(1000))
    }

    fn assigned<'a>(&'a self, partitions: &'a [Assigned]) -> BoxFuture<'a, Result<Starts, AssignError>> {
        Box::pin(self.handler.assigned(partitions))
    }

    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        self.handler.table_positions(app_id)
    }

    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> BoxFuture<'static, Vec<bool>> {
        Box::pin(async move {
            let items: Vec<_> = records.into_iter().map(|record| Self::decode(record, None)).collect();
            let items: Vec<&Item<H::Input>> = items.iter().collect();
            match self.make_durable(&context, &items).await {
                Ok(problems) => {
                    let routed = Self::route(&context, &items, &problems);
                    let mut finished = vec![true; items.len()];
                    for (index, routed) in routed {
                        finished[index] = context.deliver(&routed, &context.drain).await.is_ok();
                    }
                    finished
                }
                Err(unavailable) => {
                    tracing::warn!(%unavailable, "invoke");
                    vec![false; items.len()]
                }
            }
        })
    }

    fn start(self: Arc<Self>, context: Arc<WorkerContext>, runtime: Handle) -> Box<dyn Sink> {
        let (sender, receiver) = unbounded_channel();
        runtime.spawn(self.run(context, receiver));
        Box::new(BatchSink(sender))
    }
}

/// Sends each record to the task that collects batches. The consumer's limits bound the channel, because they count every
/// record in it.
struct BatchSink(UnboundedSender<InFlight>);

impl Sink for BatchSink {
    fn accept(&self, in_flight: InFlight) {
        // The receiver ends with the worker. Records that it leaves are not committed and will be read again.
        let _ = self.0.send(in_flight);
    }
}
