//! The event-ingester stage: expands each event into one download task per attachment.
//!
//! A refused URL or a missing assignment id fails that attachment alone, with a result and a dead letter.

mod irregularities;
mod recent_events;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use irregularities::IrregularityReport;
use recent_events::RecentEvents;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::{Event, MAX_ATTACHMENTS};
use xact_contracts::topology::Stage;
use xact_contracts::url_guard::UrlPolicy;
use xact_runtime::{Context, Emit, Factory, Failure, Handler, Limits, Outcome, Service};
use xact_telemetry::metrics::{DOMAIN, metrics};

/// Records in memory, most of which wait for their acknowledgement. More take memory and gain nothing, unless the broker takes
/// longer than 80 ms to acknowledge 50,000 events a second.
const MAX_RECORDS: usize = 4_000;

/// The handler.
pub struct EventIngester {
    policy: UrlPolicy,
    recent: Arc<RecentEvents>,
    irregularities: IrregularityReport,
}

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let limits = Limits::of_concurrency(Stage::EventIngester.row().concurrency).with_records(MAX_RECORDS);
        Ok(Service::each(EventIngester::new(settings), limits))
    })
}

impl EventIngester {
    /// Accepts the configured hosts.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            policy: settings.url_policy(),
            recent: Arc::default(),
            irregularities: IrregularityReport::new(settings.ignored_url_paths.clone()),
        }
    }

    fn expand(&self, event: &Event, context: &Context) -> Emit<Self> {
        let tasks = tasks::of_event(event, &self.policy, context);
        tasks.into_iter().fold(Emit::new(), |emit, (task, problem)| {
            let kind = if problem.is_some() { "refused" } else { "download" };
            metrics().tasks_produced(DOMAIN, kind).inc();
            match problem {
                Some(problem) => emit.failed(task, problem),
                None => emit.message(&task),
            }
        })
    }
}

impl Handler for EventIngester {
    const STAGE: Stage = Stage::EventIngester;

    type Input = Event;

    async fn handle(&self, event: &Event, context: &Context) -> Result<Outcome<Self>, Failure> {
        let count = event.attachments.len();
        if count > MAX_ATTACHMENTS {
            let text = format!("the event names {count} attachments, at most {MAX_ATTACHMENTS} are accepted");
            return Err(Failure::message(Category::Permanent, text));
        }
        let started = Instant::now();
        self.irregularities.record(event);
        let fingerprint = RecentEvents::fingerprint(&event.trace_id, &event.attachments);
        let (emit, status) = if self.recent.contains(fingerprint, context.now) {
            (Emit::new(), "duplicate")
        } else {
            let (recent, now) = (Arc::clone(&self.recent), context.now);
            // Only after the tasks are acknowledged: an event that is redelivered before that is expanded again.
            let emit = self.expand(event, context);
            (emit.then(async move { recent.insert(fingerprint, now) }), "success")
        };
        metrics().events_ingested(DOMAIN, status).inc();
        let seconds = started.elapsed().as_secs_f64();
        metrics().ingestion_duration(DOMAIN).observe(seconds);
        Ok(emit.into())
    }
}
