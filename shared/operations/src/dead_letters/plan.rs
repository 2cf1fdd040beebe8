//! The plan of a settlement: what would be done with each selected entry. Nothing is changed.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::entry::{Entry, EntryId, Mark, Settlement};
use super::filter::Filter;
use super::replay::{self, ReplayRules};
use super::topic::DeadLetterTopic;
use crate::blocking::blocking;
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_contracts::redaction::redact_text;

/// The entries to settle: those that are named and match the filter; without names, every waiting entry that matches.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// The entries; without any, the filters select
    #[arg(value_name = "PARTITION:OFFSET")]
    pub entries: Vec<EntryId>,
    /// Conditions on the entries
    #[command(flatten)]
    pub filter: Filter,
    /// Every entry that waits
    #[arg(long, conflicts_with_all = ["entries", "filter"])]
    pub everything: bool,
    /// Before this position only, repeated for each partition: what came after a preview is left out
    #[arg(long = "before", value_name = "PARTITION:OFFSET")]
    pub before: Vec<EntryId>,
}

impl Selection {
    fn includes(&self, entry: &Entry) -> bool {
        self.filter.matches(entry)
            && (self.entries.is_empty() || self.entries.contains(&entry.id))
            && (self.before.is_empty() || self.before.iter().any(|end| is_before(entry.id, *end)))
    }
}

fn is_before(entry: EntryId, end: EntryId) -> bool {
    entry.partition == end.partition && entry.offset < end.offset
}

/// Whether an entry will be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It will be.
    Planned,
    /// It will not be.
    Refused,
}

/// One selected entry and what will be done with it.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedEntry {
    /// The entry.
    #[serde(flatten)]
    pub id: EntryId,
    /// Its event; redacted.
    pub trace_id: Option<String>,
    /// Whether it will be settled.
    #[serde(rename = "action")]
    pub decision: Decision,
    /// The topic that its message goes to.
    pub topic: Option<String>,
    /// What will be done, or why not; redacted.
    pub detail: String,
}

impl PlannedEntry {
    /// Returns whether the entry will be settled.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.decision == Decision::Planned
    }
}

/// What [`execute`](super::execute()) does.
pub struct SettlementPlan {
    /// Replay or resolve.
    pub settlement: Settlement,
    /// All selected entries, in the order of each partition.
    pub entries: Vec<PlannedEntry>,
    /// The end of each partition that was read: an entry at or after it is not in the plan.
    pub ends: Vec<EntryId>,
    /// URLs that expire after this time count as valid, also during execution.
    pub(super) planned_at: Timestamp,
}

impl SettlementPlan {
    /// Returns the entries that will be settled.
    pub fn planned(&self) -> impl Iterator<Item = &PlannedEntry> {
        self.entries.iter().filter(|entry| entry.is_planned())
    }

    /// Returns the number of entries that will not be settled.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.entries.len() - self.planned().count()
    }

    /// Returns the number of messages to send, by topic.
    #[must_use]
    pub fn by_topic(&self) -> BTreeMap<&str, usize> {
        let mut topics = BTreeMap::new();
        for topic in self.planned().filter_map(|entry| entry.topic.as_deref()) {
            *topics.entry(topic).or_default() += 1;
        }
        topics
    }
}

/// Reads the entries and decides what to do with those selected.
///
/// # Errors
/// When nothing is selected, a named entry does not exist, or the topic cannot be read.
pub async fn plan(
    settings: &Settings,
    selection: Selection,
    settlement: Settlement,
    now: Timestamp,
) -> Result<SettlementPlan, OperationError> {
    if !selection.everything && selection.entries.is_empty() && selection.filter.is_empty() {
        let text = "no entries selected: name them (PARTITION:OFFSET), pass filters, or pass --everything";
        return refuse(text);
    }
    let settings = settings.clone();
    blocking(move || {
        let topic = DeadLetterTopic::open_at(&settings, &selection.entries)?;
        let mut unseen: HashSet<EntryId> = selection.entries.iter().copied().collect();
        let mut entries = Vec::new();
        let rules = ReplayRules::new(&settings, now);
        topic.visit(|entry| {
            unseen.remove(&entry.id);
            if selection.includes(&entry) {
                entries.extend(decide(&entry, &selection, settlement, &rules));
            }
            ControlFlow::Continue(())
        })?;
        if let Some(id) = unseen.into_iter().min() {
            return refuse(no_entry(id, &settings));
        }
        Ok(SettlementPlan {
            settlement,
            entries,
            ends: topic.ends(),
            planned_at: now,
        })
    })
    .await
}

/// Returns the error about an entry that does not exist.
pub(super) fn no_entry(id: EntryId, settings: &Settings) -> String {
    format!(
        "no dead letter at {id} in {}: never written, no longer retained, or the mark of another entry. `dlq list --all` shows all entries",
        settings.topics.dlq
    )
}

/// Returns `None` for a settled entry that is not named: a filter selects waiting entries only.
fn decide(
    entry: &Entry,
    selection: &Selection,
    settlement: Settlement,
    rules: &ReplayRules<'_>,
) -> Option<PlannedEntry> {
    let decided = match (&entry.mark, settlement) {
        (Some(_), _) if selection.entries.is_empty() => return None,
        (Some(mark), _) => Err(already_settled(mark)),
        (None, Settlement::Resolved) => Ok(None),
        (None, Settlement::Replayed) => replay::message(entry, rules).map(|message| Some(message.topic)),
    };
    let (decision, topic, detail) = match decided {
        Ok(Some(topic)) => (Decision::Planned, Some(topic.clone()), format!("to {topic}")),
        Ok(None) => (Decision::Planned, None, "marked".to_owned()),
        Err(reason) => (Decision::Refused, None, reason),
    };
    Some(PlannedEntry {
        id: entry.id,
        trace_id: entry.trace_id().map(redact_text),
        decision,
        topic,
        detail,
    })
}

fn already_settled(mark: &Mark) -> String {
    let at = mark.at.map_or_else(String::new, |at| format!(" at {at:.0}"));
    let by = mark.by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
    format!("it was {} already{at}{by}", mark.settlement)
}
