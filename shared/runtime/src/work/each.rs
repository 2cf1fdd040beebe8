//! Records one by one and concurrently: a slow record does not hold up the others.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument;

use super::context::WorkerContext;
use super::serve::{Serve, problem_of_panic};
use crate::consume::{InFlight, Limits, Sink};
use crate::handler::{Context, Failure, Handler, Outcome, Unavailable};
use crate::routing::{RecordContext, Routed};
use xact_contracts::category::Category;
use xact_contracts::messages::{Message, Problem};
use xact_kafka::{Record, backoff};
use xact_telemetry::metrics::metrics;

/// Longest single sleep for a message that is not due, because the wall clock may be changed during the sleep.
const MAX_HOLD_INTERVAL: Duration = Duration::from_secs(60);

/// Serves a [`Handler`].
pub(super) struct EachService<H> {
    pub(super) handler: H,
    pub(super) limits: Limits,
}

/// The right to run a handler. The semaphore is never closed.
type Permit = Result<OwnedSemaphorePermit, AcquireError>;

/// The result of one attempt at a record.
enum Attempt {
    Finished(Finished),
    NotBefore(Timestamp),
    Unavailable(Unavailable),
}

/// A record is done once these records are produced.
struct Finished {
    routed: Routed,
    is_readable: bool,
    then: Option<BoxFuture<'static, ()>>,
}

impl<H: Handler> EachService<H> {
    /// Makes one attempt: decodes the record, calls the handler and routes the outcome.
    async fn attempt(&self, context: &WorkerContext, record: &Record) -> Attempt {
        let now = Timestamp::now();
        let input = match H::Input::decode(&record.payload) {
            Ok(input) => input,
            Err(error) => {
                tracing::warn!(topic = &*record.topic, partition = record.partition, offset = record.offset, %error, "unreadable message");
                let problem = Problem::new(Category::Permanent, error.to_string());
                let trace = record.trace.child();
                let on = RecordContext::new(record, &trace, now);
                return Attempt::Finished(Finished {
                    routed: context.routing.failed(None, record.key.clone(), &problem, None, on),
                    is_readable: false,
                    then: None,
                });
            }
        };
        let trace_id = Some(input.trace_id()).filter(|id| !id.is_empty());
        let span = tracing::info_span!(
            "message",
            stage = H::STAGE.name(),
            trace_id,
            media_id = input.media_id().map(tracing::field::display),
            topic = &*record.topic,
            partition = record.partition,
            offset = record.offset,
        );
        let trace = xact_telemetry::continue_trace(&span, &record.trace);
        let on = RecordContext::new(record, &trace, now);
        // The task is requested only after a failure, so that a success clones nothing.
        let failed = |problem: &Problem, retry_after| {
            let (routing, task) = (&context.routing, input.task());
            routing.failed(task, trace_id.map(str::to_owned), problem, retry_after, on)
        };
        let handler_context = Context {
            now,
            record_timestamp: record.timestamp,
        };
        let started = Instant::now();
        let handle = async {
            if cfg!(debug_assertions) {
                fail_point!(&format!("handle::{}", H::STAGE));
            }
            self.handler.handle(&input, &handler_context).await
        };
        let handled = AssertUnwindSafe(handle.instrument(span.clone())).catch_unwind().await;
        let duration = metrics().processing_duration(&record.topic, &context.group);
        duration.observe(started.elapsed().as_secs_f64());
        let mut then = None;
        let routed = match handled {
            Ok(Ok(Outcome::Emit(emit))) => {
                then = emit.then;
                context.routing.emitted(emit.messages, on)
            }
            Ok(Ok(Outcome::NotBefore(due))) => return Attempt::NotBefore(due),
            Ok(Err(Failure::Unavailable(unavailable))) => return Attempt::Unavailable(unavailable),
            Ok(Err(Failure::Message { problem, retry_after })) => {
                span.in_scope(|| {
                    tracing::info!(category = %problem.category, error = problem.message(), "message failed");
                });
                failed(&problem, retry_after)
            }
            Err(panic) => failed(&problem_of_panic(panic.as_ref()), None),
        };
        Attempt::Finished(Finished {
            routed,
            is_readable: true,
            then,
        })
    }

    /// Starts a task for each record, in their order, as soon as a permit is free. Returns when the consumer has ended.
    ///
    /// A task for each record at once would take several kilobytes for each, and the async runtime starts a great number of
    /// tasks in any order: then the position of a partition waits for its first record.
    async fn start_in_order(
        self: Arc<Self>,
        context: Arc<WorkerContext>,
        mut records: mpsc::UnboundedReceiver<InFlight>,
    ) {
        let permits = Arc::new(Semaphore::new(self.limits.concurrency));
        while let Some(in_flight) = records.recv().await {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let (service, context, permits) = (Arc::clone(&self), Arc::clone(&context), Arc::clone(&permits));
            tokio::spawn(async move { service.process(&context, &permits, permit, &in_flight).await });
        }
    }

    /// Works on a record until it is done, or until its partition is revoked.
    ///
    /// A permit limits how many handlers run at the same time. A message that is not due, or that waits for its
    /// acknowledgements, gives its permit back. A message that waits for a dependency keeps it, which bounds the concurrent
    /// calls to the unavailable dependency. While a message only waits, it does not count as running work, so that it does
    /// not delay a rebalance.
    async fn process(&self, context: &WorkerContext, permits: &Arc<Semaphore>, first: Permit, in_flight: &InFlight) {
        let (record, partition) = (&in_flight.record, &in_flight.lease.partition);
        let revoked = &partition.revoked;
        let mut delays = backoff::dependency();
        // Keeps readiness down until this message is done or given up.
        let mut waiting = None;
        let mut permit = first;
        loop {
            let Some(running) = partition.start_work() else {
                return;
            };
            let attempt = tokio::select! {
                biased;
                attempt = self.attempt(context, record) => attempt,
                () = partition.abandoned.cancelled() => return,
            };
            // The permit is released before the sleep, or, if it is kept, after it.
            let (delay, kept_permit) = match attempt {
                Attempt::Finished(finished) => {
                    drop(permit);
                    drop(waiting);
                    if context.deliver(&finished.routed, revoked).await.is_ok() {
                        if cfg!(debug_assertions) {
                            fail_point!(&format!("delivered::{}", H::STAGE), |_| std::process::abort());
                        }
                        context.count(record, &finished.routed, finished.is_readable);
                        if let Some(then) = finished.then {
                            then.await;
                        }
                        partition.done(record.offset);
                    }
                    return;
                }
                Attempt::NotBefore(due) => {
                    drop(permit);
                    (hold_delay(due, Timestamp::now()), None)
                }
                Attempt::Unavailable(unavailable) => {
                    waiting = Some(context.wait_for(&unavailable));
                    (delays.next().unwrap_or(MAX_HOLD_INTERVAL), Some(permit))
                }
            };
            drop(running);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = revoked.cancelled() => return,
            }
            // Those that waited longer come first.
            drop(kept_permit);
            permit = tokio::select! {
                permit = Arc::clone(permits).acquire_owned() => permit,
                () = revoked.cancelled() => return,
            };
        }
    }
}

/// Returns how long to sleep before a message is tried again.
fn hold_delay(due: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now))
        .unwrap_or_default()
        .min(MAX_HOLD_INTERVAL)
        // Timers have a resolution of a millisecond.
        .max(Duration::from_millis(1))
}

impl<H: Handler> Serve for EachService<H> {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> BoxFuture<'static, Vec<bool>> {
        Box::pin(async move {
            let mut finished = Vec::with_capacity(records.len());
            for record in &records {
                // A message that is not due, or waits for a dependency, must be sent again by the caller.
                finished.push(match self.attempt(&context, record).await {
                    Attempt::Finished(finished) => {
                        let delivered = context.deliver(&finished.routed, &context.drain).await.is_ok();
                        context.count(record, &finished.routed, finished.is_readable);
                        if let (true, Some(then)) = (delivered, finished.then) {
                            then.await;
                        }
                        delivered
                    }
                    Attempt::NotBefore(_) => false,
                    Attempt::Unavailable(unavailable) => {
                        tracing::warn!(%unavailable, "invoke");
                        false
                    }
                });
            }
            finished
        })
    }

    fn start(self: Arc<Self>, context: Arc<WorkerContext>, runtime: Handle) -> Box<dyn Sink> {
        let (service, drain) = (Arc::clone(&self), context.drain.clone());
        runtime.spawn(async move { drain.run_until_cancelled(service.handler.upkeep()).await });
        let (queue, records) = mpsc::unbounded_channel();
        runtime.spawn(self.start_in_order(context, records));
        Box::new(EachSink(queue))
    }
}

/// Queues the records. Their number is bounded by the limits of the consumer.
struct EachSink(mpsc::UnboundedSender<InFlight>);

impl Sink for EachSink {
    fn accept(&self, in_flight: InFlight) {
        // Fails only when the async runtime has ended; the record is then read again after a restart.
        let _ = self.0.send(in_flight);
    }
}

#[cfg(test)]
mod tests;
