//! Records one by one, many at the same time: a slow one holds up no other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::panicked::problem_of_panic;
use super::{Boxed, Service, SinkBox, WorkerContext};
use crate::consume::{Limits, Sink, Taken};
use crate::emit::AfterDelivery;
use crate::handler::{AssignError, Assigned, Context, Handler, Outcome, Starts, Unavailable};
use crate::routing::{RecordContext, Routed, problem_of};
use xact_contracts::category::Category;
use xact_contracts::messages::{Message, Problem};
use xact_contracts::topology::Stage;
use xact_kafka::backoff;
use xact_kafka::record::Record;
use xact_telemetry::metrics::metrics;

/// A [`Handler`] as a [`Service`].
pub struct EachService<H> {
    handler: H,
    limits: Limits,
}

impl<H: Handler> EachService<H> {
    /// Serves a handler.
    pub fn new(handler: H, limits: Limits) -> Arc<Self> {
        Arc::new(Self { handler, limits })
    }

    /// One attempt at a record.
    async fn attempt(&self, context: &WorkerContext, record: &Record) -> Step {
        let now = context.clock.now();
        let input = match H::Input::decode(&record.payload) {
            Ok(input) => input,
            Err(error) => {
                tracing::warn!(topic = &*record.topic, partition = record.partition, offset = record.offset, %error, "unreadable message");
                let problem = Problem::new(Category::Permanent, error.to_string());
                let on = RecordContext {
                    record,
                    trace: &record.trace.child(),
                    now,
                };
                return Step::Finished {
                    routed: context.routing.failed(None, record.key.clone(), &problem, None, on),
                    readable: false,
                    then: None,
                };
            }
        };
        let trace_id = Some(input.trace_id().to_owned()).filter(|id| !id.is_empty());
        let span = tracing::info_span!(
            "message",
            stage = H::STAGE.name(),
            trace_id = trace_id.as_deref(),
            media_id = input.media_id().map(tracing::field::display),
            topic = &*record.topic,
            partition = record.partition,
            offset = record.offset,
        );
        let trace = xact_telemetry::continue_trace(&span, &record.trace);
        let on = RecordContext {
            record,
            trace: &trace,
            now,
        };
        // The task is needed for a failure alone: no message is cloned for a success.
        let failed = |problem: &Problem, retry_after| {
            context
                .routing
                .failed(input.task(), trace_id.clone(), problem, retry_after, on)
        };
        let given = Context {
            now,
            record_timestamp: record.timestamp,
        };
        let started = Instant::now();
        let handle = async {
            fail_point!(&format!("handle::{}", H::STAGE));
            self.handler.handle(&input, &given).await
        };
        let handled = AssertUnwindSafe(handle.instrument(span.clone())).catch_unwind().await;
        metrics()
            .processing_duration(&record.topic, &context.group)
            .observe(started.elapsed().as_secs_f64());
        let mut then = None;
        let routed = match handled {
            Ok(Ok(Outcome::Emit(emit))) => {
                then = emit.then;
                context.routing.emitted(emit.messages, on)
            }
            Ok(Ok(Outcome::NotBefore(due))) => return Step::NotBefore(due),
            Ok(Err(failure)) => match problem_of(failure) {
                Ok((problem, retry_after)) => {
                    span.in_scope(|| {
                        tracing::info!(category = %problem.category, error = problem.message(), "message failed");
                    });
                    failed(&problem, retry_after)
                }
                Err(unavailable) => return Step::Unavailable(unavailable),
            },
            Err(panic) => failed(&problem_of_panic(panic.as_ref()), None),
        };
        Step::Finished {
            routed,
            readable: true,
            then,
        }
    }

    /// Sees one record through to its end, or leaves it when its partition goes.
    async fn see_through(&self, context: &WorkerContext, permits: &Arc<Semaphore>, taken: &Taken) {
        let revoked = &taken.partition.revoked;
        let mut waits = backoff::dependency();
        // Shown in readiness until this message has gone through or gone away.
        let mut waiting = None;
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(permits).acquire_owned() => permit,
                () = revoked.cancelled() => return,
            };
            let Some(running) = taken.partition.start() else {
                return;
            };
            let step = tokio::select! {
                step = self.attempt(context, &taken.record) => step,
                () = taken.partition.abandoned.cancelled() => return,
            };
            let wait = match step {
                Step::Finished { routed, readable, then } => {
                    // The next record may begin while this one waits for its acknowledgements.
                    drop(permit);
                    drop(waiting);
                    if context.deliver(&routed, revoked).await.is_ok() {
                        fail_point!(&format!("delivered::{}", H::STAGE), |_| std::process::abort());
                        context.count(&taken.record, &routed, readable);
                        if let Some(then) = then {
                            then.await;
                        }
                        taken.partition.done(taken.record.offset);
                    }
                    return;
                }
                Step::NotBefore(due) => {
                    drop(permit);
                    until(due, context.clock.now())
                }
                Step::Unavailable(unavailable) => {
                    waiting = Some(context.wait_for(&unavailable));
                    drop(running);
                    // The permit is kept: while a dependency is away, only so many messages knock at its door.
                    let wait = waits.next().unwrap_or(HOLD_STEP);
                    if !sleep(wait, revoked).await {
                        return;
                    }
                    continue;
                }
            };
            drop(running);
            if !sleep(wait, revoked).await {
                return;
            }
        }
    }
}

/// What one attempt came to.
enum Step {
    Finished {
        routed: Routed,
        readable: bool,
        then: Option<AfterDelivery>,
    },
    NotBefore(Timestamp),
    Unavailable(Unavailable),
}

/// Longest single sleep for a held message: the wall clock may be set while it sleeps.
const HOLD_STEP: Duration = Duration::from_secs(60);

fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now))
        .unwrap_or_default()
        .min(HOLD_STEP)
        // Timers have millisecond ticks: asking once a tick is enough.
        .max(Duration::from_millis(1))
}

/// False when the partition went meanwhile.
async fn sleep(wait: Duration, revoked: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = revoked.cancelled() => false,
    }
}

impl<H: Handler> Service for EachService<H> {
    fn stage(&self) -> Stage {
        H::STAGE
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn assigned<'a>(&'a self, _: &'a [Assigned]) -> Boxed<'a, Result<Starts, AssignError>> {
        Box::pin(async { Ok(Starts::new()) })
    }

    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> Boxed<'static, Vec<bool>> {
        Box::pin(async move {
            let mut finished = Vec::with_capacity(records.len());
            for record in &records {
                // What is not due yet, or waits for a dependency, is the caller's to send again.
                finished.push(match self.attempt(&context, record).await {
                    Step::Finished { routed, readable, then } => {
                        let delivered = context.deliver(&routed, &context.drain).await.is_ok();
                        context.count(record, &routed, readable);
                        if let (true, Some(then)) = (delivered, then) {
                            then.await;
                        }
                        delivered
                    }
                    Step::NotBefore(_) => false,
                    Step::Unavailable(unavailable) => {
                        tracing::warn!(%unavailable, "invoke");
                        false
                    }
                });
            }
            finished
        })
    }

    fn sink(self: Arc<Self>, context: Arc<WorkerContext>, handle: Handle) -> SinkBox {
        let (service, drain) = (Arc::clone(&self), context.drain.clone());
        handle.spawn(async move {
            tokio::select! {
                () = service.handler.upkeep() => {}
                () = drain.cancelled() => {}
            }
        });
        SinkBox(Box::new(EachSink {
            permits: Arc::new(Semaphore::new(self.limits.concurrency)),
            service: self,
            context,
            handle,
        }))
    }
}

struct EachSink<H> {
    service: Arc<EachService<H>>,
    context: Arc<WorkerContext>,
    permits: Arc<Semaphore>,
    handle: Handle,
}

impl<H: Handler> Sink for EachSink<H> {
    fn take(&self, taken: Taken) {
        let (service, context, permits) = (
            Arc::clone(&self.service),
            Arc::clone(&self.context),
            Arc::clone(&self.permits),
        );
        self.handle.spawn(async move {
            service.see_through(&context, &permits, &taken).await;
        });
    }
}
