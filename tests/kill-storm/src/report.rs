//! The figures of a run, and whether it was a good one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::Options;
use crate::schedule::Act;
use xact_testkit::compare::{Fault, Finding};

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was asked for.
    pub options: Options,
    /// Attachments that were sent.
    pub attachments: usize,
    /// Rows of `xact_attachments`.
    pub completed: usize,
    /// Rows of `xact_attachments_failed`.
    pub failed: usize,
    /// What is wrong with rows, files, dead letters and logs.
    pub findings: Vec<Finding>,
    /// Processes that ended by themselves.
    pub deaths: Vec<String>,
    /// Files left in the cache.
    pub left: Vec<PathBuf>,
    /// Messages that a group has not finished, by Kafka's own tool.
    pub lag: u64,
    /// Blows by whom they met, and kind.
    pub struck: BTreeMap<(&'static str, Act), usize>,
    /// Processes that ended after SIGTERM without having drained in time.
    pub undrained: usize,
    /// Largest resident memory, in KiB, by handler.
    pub resident: BTreeMap<&'static str, u64>,
    /// From the first event to the last row.
    pub took: Duration,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.deaths.is_empty() && self.left.is_empty() && self.lag == 0
    }

    /// Findings of a kind.
    #[must_use]
    pub fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }

    /// Memory by handler, in words.
    #[must_use]
    pub fn memory(&self) -> String {
        let parts = self
            .resident
            .iter()
            .map(|(name, kib)| format!("{name} {} MiB", kib / 1024));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// One line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck = |kind, act| self.struck.get(&(kind, act)).copied().unwrap_or(0);
        write!(
            f,
            "{}: {} events, {} attachments, {} completed, {} failed, {} lost, {} duplicates, {} wrong bytes, {} strangers, \
             {} left cache files, lag {}, {} died by themselves; handlers: {} kills, {} stops, {} terms ({} not drained in time); \
             broker: {} kills, {} stops; lake: {} kills, {} stops; {:.1} minutes of storm, {:.1} in all, seed {}{}",
            if self.is_good() { "good" } else { "BAD" },
            self.options.events,
            self.attachments,
            self.completed,
            self.failed,
            self.count(Fault::Lost),
            self.count(Fault::Duplicate),
            self.count(Fault::Wrong),
            self.count(Fault::Stranger),
            self.left.len(),
            self.lag,
            self.deaths.len(),
            struck("handlers", Act::Kill),
            struck("handlers", Act::Freeze),
            struck("handlers", Act::Terminate),
            self.undrained,
            struck("broker", Act::Kill),
            struck("broker", Act::Freeze),
            struck("lake", Act::Kill),
            struck("lake", Act::Freeze),
            self.options.duration.as_secs_f64() / 60.0,
            self.took.as_secs_f64() / 60.0,
            self.options.seed,
            if self.options.azure { ", in Azure's shape" } else { "" },
        )
    }
}
