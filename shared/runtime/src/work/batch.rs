//! Records in batches: collected by size or time, made durable together.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use fail::fail_point;
use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::panicked::problem_of_panic;
use super::{Boxed, Service, SinkBox, WorkerContext};
use crate::consume::{Limits, Running, Sink, Taken};
use crate::handler::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Records, Refused, Starts, Unavailable,
};
use crate::routing::{RecordContext, Routed};
use xact_config::BatchSettings;
use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{Message, Problem};
use xact_contracts::topology::Stage;
use xact_kafka::backoff;
use xact_kafka::commit_note::TablePositions;
use xact_kafka::record::Record;
use xact_telemetry::metrics::metrics;

/// A [`BatchHandler`] as a [`Service`].
pub struct BatchService<H> {
    handler: H,
    batch: BatchSettings,
}

/// Most bytes of a batch: the rows are built in memory beside it.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A decoded record of a batch.
struct Item<I> {
    record: Record,
    /// `{group}:{topic}:{partition}`; `None` when it did not come from the topic.
    app_id: Option<AppId>,
    read: Result<Delivered<I>, Problem>,
}

impl<H: BatchHandler> BatchService<H> {
    /// Serves a handler.
    pub fn new(handler: H, batch: BatchSettings) -> Arc<Self> {
        Arc::new(Self { handler, batch })
    }

    fn item(record: Record, app_id: Option<AppId>) -> Item<H::Input> {
        let read = match H::Input::decode(&record.payload) {
            Ok(input) => Ok(Delivered {
                input,
                source: record.source(),
                record_timestamp: record.timestamp,
                app_id: app_id.clone(),
            }),
            Err(error) => {
                // Told once, by the stage that dead-letters it; here it may be another's to tell.
                tracing::debug!(topic = &*record.topic, partition = record.partition, offset = record.offset, %error, "unreadable message");
                Err(Problem::new(Category::Permanent, error.to_string()))
            }
        };
        Item { record, app_id, read }
    }

    /// Makes the items durable. Returns the problem of each one that never can be.
    ///
    /// A panic is one record's fault: the batch is halved until that record stands alone. The halves stay in order,
    /// so that positions only grow.
    fn make_durable<'a>(
        &'a self,
        context: &'a WorkerContext,
        items: &'a [&'a Item<H::Input>],
    ) -> Boxed<'a, Result<Vec<(usize, Problem)>, Unavailable>> {
        Box::pin(async move {
            let readable: Vec<usize> = (0..items.len()).filter(|&index| items[index].read.is_ok()).collect();
            let unreadable = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((index, item.read.as_ref().err()?.clone())));
            let batch = Batch {
                records: items.iter().filter_map(|item| item.read.as_ref().ok()).collect(),
                positions: positions(items),
            };
            let given = Context {
                now: context.clock.now(),
                record_timestamp: None,
            };
            let started = Instant::now();
            let handle = async {
                fail_point!(&format!("handle::{}", H::STAGE));
                self.handler.handle(&batch, &given).await
            };
            let handled = AssertUnwindSafe(handle).catch_unwind().await;
            if let Some(first) = items.first() {
                metrics()
                    .processing_duration(&first.record.topic, &context.group)
                    .observe(started.elapsed().as_secs_f64());
            }
            match handled {
                Ok(refused) => {
                    let refused = refused?
                        .into_iter()
                        .filter_map(|Refused { index, problem }| Some((*readable.get(index)?, problem)));
                    Ok(unreadable.chain(refused).collect())
                }
                Err(panic) if readable.len() <= 1 => {
                    let problem = problem_of_panic(panic.as_ref());
                    Ok(unreadable
                        .chain(readable.first().map(|&index| (index, problem)))
                        .collect())
                }
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

    /// Dead letters of refused records, by index.
    fn dispose(
        context: &WorkerContext,
        items: &[&Item<H::Input>],
        problems: &[(usize, Problem)],
    ) -> BTreeMap<usize, Routed> {
        let now = context.clock.now();
        problems
            .iter()
            .map(|(index, problem)| {
                let item = items[*index];
                let trace_id = item.read.as_ref().map_or_else(
                    |_| item.record.key.clone(),
                    |read| Some(read.input.trace_id().to_owned()),
                );
                let on = RecordContext {
                    record: &item.record,
                    trace: &item.record.trace.child(),
                    now,
                };
                let routed = context.routing.failed(None, trace_id, problem, None, on);
                (*index, routed)
            })
            .collect()
    }

    /// The end of each message's trace: a batch is one work, but its messages have their own ways behind them.
    fn trace(&self, items: &[&Item<H::Input>]) {
        if !xact_telemetry::is_tracing() {
            return;
        }
        for item in items {
            let trace_id = item.read.as_ref().ok().map(|read| read.input.trace_id());
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

    /// Sees one batch through to its end. Records of partitions that go meanwhile are left to their next owner.
    async fn see_through(&self, context: &WorkerContext, taken: Vec<Taken>) {
        let mut waits = backoff::dependency();
        // Shown in readiness until this batch has gone through or gone away.
        let mut waiting = None;
        let mut pending: Vec<(Taken, Item<H::Input>)> = taken
            .into_iter()
            .map(|mut taken| {
                // The item owns the record from here on.
                let record = std::mem::replace(&mut taken.record, Record::empty());
                let app_id = taken.partition.app_id.clone();
                (taken, Self::item(record, Some(app_id)))
            })
            .collect();
        loop {
            let mut running: Vec<Running> = Vec::with_capacity(pending.len());
            pending.retain(|(taken, _)| match taken.partition.start() {
                Some(started) => {
                    running.push(started);
                    true
                }
                None => false,
            });
            if pending.is_empty() {
                return;
            }
            let items: Vec<&Item<H::Input>> = pending.iter().map(|(_, item)| item).collect();
            match self.make_durable(context, &items).await {
                Ok(problems) => {
                    let routed = Self::dispose(context, &items, &problems);
                    for routed in routed.values() {
                        if context.deliver(routed, &context.drain).await.is_err() {
                            return;
                        }
                    }
                    drop(waiting);
                    fail_point!(&format!("delivered::{}", H::STAGE), |_| std::process::abort());
                    let nothing = Routed::default();
                    self.trace(&items);
                    self.note_tables(&pending);
                    for (index, (taken, item)) in pending.iter().enumerate() {
                        let routed = routed.get(&index).unwrap_or(&nothing);
                        context.count(&item.record, routed, item.read.is_ok());
                        taken.partition.done(item.record.offset);
                    }
                    return;
                }
                Err(unavailable) if unavailable.records == Records::ReadAgain => {
                    tracing::warn!(stage = H::STAGE.name(), reason = unavailable.reason, "reading again");
                    for (taken, _) in &pending {
                        taken.partition.read_again();
                    }
                    return;
                }
                Err(unavailable) => waiting = Some(context.wait_for(&unavailable)),
            }
            drop(running);
            let wait = waits.next().unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = context.drain.cancelled() => return,
            }
        }
    }

    /// Notes how far the tables are, before the records count as done: a committed offset must not stand beside positions
    /// from before its own rows.
    fn note_tables(&self, handled: &[(Taken, Item<H::Input>)]) {
        let partitions: BTreeMap<&AppId, &Taken> = handled
            .iter()
            .map(|(taken, _)| (&taken.partition.app_id, taken))
            .collect();
        for (app_id, taken) in partitions {
            taken.partition.set_tables(self.handler.table_positions(app_id));
        }
    }

    async fn collect(self: Arc<Self>, context: Arc<WorkerContext>, mut taken: UnboundedReceiver<Taken>) {
        while let Some(first) = taken.recv().await {
            let deadline = tokio::time::Instant::now() + self.batch.wait;
            let mut bytes = first.record.payload.len();
            let mut batch = vec![first];
            while batch.len() < self.batch.records && bytes < BATCH_BYTES {
                let next = tokio::select! {
                    next = taken.recv() => next,
                    () = tokio::time::sleep_until(deadline) => break,
                    () = context.drain.cancelled() => break,
                };
                let Some(next) = next else { break };
                bytes += next.record.payload.len();
                batch.push(next);
            }
            self.see_through(&context, batch).await;
        }
    }
}

/// The next offset of each partition in the batch.
fn positions<I>(items: &[&Item<I>]) -> BTreeMap<AppId, i64> {
    let mut positions = BTreeMap::new();
    for item in items {
        // An unreadable record counts as well: it is behind what is committed.
        if let Some(app_id) = &item.app_id {
            let next = item.record.offset + 1;
            let position = positions.entry(app_id.clone()).or_insert(next);
            *position = next.max(*position);
        }
    }
    positions
}

impl<H: BatchHandler> Service for BatchService<H> {
    fn stage(&self) -> Stage {
        H::STAGE
    }

    fn limits(&self) -> Limits {
        // One batch is written while the next one fills.
        Limits::of_concurrency(1).with_records((2 * self.batch.records).max(1000))
    }

    fn assigned<'a>(&'a self, partitions: &'a [Assigned]) -> Boxed<'a, Result<Starts, AssignError>> {
        Box::pin(self.handler.assigned(partitions))
    }

    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        self.handler.table_positions(app_id)
    }

    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> Boxed<'static, Vec<bool>> {
        Box::pin(async move {
            let items: Vec<_> = records.into_iter().map(|record| Self::item(record, None)).collect();
            let items: Vec<&Item<H::Input>> = items.iter().collect();
            match self.make_durable(&context, &items).await {
                Ok(problems) => {
                    let routed = Self::dispose(&context, &items, &problems);
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

    fn sink(self: Arc<Self>, context: Arc<WorkerContext>, handle: Handle) -> SinkBox {
        let (sender, receiver) = unbounded_channel();
        handle.spawn(self.collect(context, receiver));
        SinkBox(Box::new(BatchSink(sender)))
    }
}

/// The channel is bounded by the consumer's limits, which count every record that is in it.
struct BatchSink(UnboundedSender<Taken>);

impl Sink for BatchSink {
    fn take(&self, taken: Taken) {
        // The receiver ends with the worker: what it leaves is uncommitted and will be read again.
        let _ = self.0.send(taken);
    }
}
