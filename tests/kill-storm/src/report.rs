//! The figures of a run, and whether it passed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::Options;
use crate::schedule::Action;
use xact_testkit::compare::{Fault, Finding};

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// The options of the run.
    pub options: Options,
    /// Number of attachments that were sent.
    pub attachments: usize,
    /// Number of rows of `xact_attachments`.
    pub completed: usize,
    /// Number of rows of `xact_attachments_failed`.
    pub failed: usize,
    /// Faults of rows, files, dead letters and logs.
    pub findings: Vec<Finding>,
    /// Processes that exited without being asked to.
    pub unexpected_exits: Vec<String>,
    /// Files left in the cache.
    pub left: Vec<PathBuf>,
    /// Total lag of all groups, as reported by Kafka's own tool.
    pub lag: u64,
    /// Number of injected faults by target and action.
    pub injected: BTreeMap<(&'static str, Action), usize>,
    /// Number of processes that did not drain in time after SIGTERM.
    pub undrained: usize,
    /// Largest resident memory in KiB, by handler.
    pub resident: BTreeMap<&'static str, u64>,
    /// Time from the first event to the last row.
    pub took: Duration,
}

impl Report {
    /// Returns whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.unexpected_exits.is_empty() && self.left.is_empty() && self.lag == 0
    }

    /// Returns the number of findings of a kind.
    pub fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }

    /// Formats the memory by handler.
    pub fn memory(&self) -> String {
        let parts = self
            .resident
            .iter()
            .map(|(name, kib)| format!("{name} {} MiB", kib / 1024));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Prints all figures in one line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let injected = |kind, action| self.injected.get(&(kind, action)).copied().unwrap_or(0);
        write!(
            f,
            "{}: {} events, {} attachments, {} completed, {} failed, {} lost, {} duplicates, {} wrong bytes, {} unexpected, \
             {} left cache files, lag {}, {} unexpected exits; handlers: {} kills, {} freezes, {} stops ({} not drained in time); \
             broker: {} kills, {} freezes; lake: {} kills, {} freezes; {:.1} minutes of storm, {:.1} in all, seed {}{}",
            if self.is_good() { "good" } else { "BAD" },
            self.options.events,
            self.attachments,
            self.completed,
            self.failed,
            self.count(Fault::Lost),
            self.count(Fault::Duplicate),
            self.count(Fault::Wrong),
            self.count(Fault::Unexpected),
            self.left.len(),
            self.lag,
            self.unexpected_exits.len(),
            injected("handlers", Action::Kill),
            injected("handlers", Action::Freeze),
            injected("handlers", Action::Terminate),
            self.undrained,
            injected("broker", Action::Kill),
            injected("broker", Action::Freeze),
            injected("lake", Action::Kill),
            injected("lake", Action::Freeze),
            self.options.duration.as_secs_f64() / 60.0,
            self.took.as_secs_f64() / 60.0,
            self.options.seed,
            if self.options.azure { ", on emulated Azure" } else { "" },
        )
    }
}
