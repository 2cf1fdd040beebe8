//! What happened to an event, and when.

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

/// A step of an event.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub step: &'static str,
    /// Seconds after the event was sent.
    pub seconds: f64,
    /// What was found. It may be of the event: escape control characters before printing.
    pub details: String,
}

/// The steps so far.
pub(super) struct Steps<F> {
    started: Instant,
    report: F,
    pub(super) done: Vec<Step>,
}

impl<F: FnMut(&Step)> Steps<F> {
    pub(super) fn new(report: F) -> Self {
        Self {
            started: Instant::now(),
            report,
            done: Vec::new(),
        }
    }

    /// Adds a step that was just observed.
    pub(super) fn now(&mut self, step: &'static str, details: impl Into<String>) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.add(step, seconds, details.into());
    }

    /// Adds a step whose time is in a row.
    pub(super) fn at(&mut self, step: &'static str, at: Timestamp, sent: Timestamp, details: impl Into<String>) {
        self.add(step, at.duration_since(sent).as_secs_f64(), details.into());
    }

    fn add(&mut self, step: &'static str, seconds: f64, details: String) {
        let step = Step { step, seconds, details };
        (self.report)(&step);
        self.done.push(step);
    }
}
