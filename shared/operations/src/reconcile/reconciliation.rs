//! The answer: counts, what is missing, and what is duplicate.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::range::TimeRange;
use xact_contracts::time;

/// What was found in a time range.
#[derive(Debug, Serialize)]
pub struct Reconciliation {
    /// The range.
    #[serde(flatten)]
    pub range: TimeRange,
    /// Whether everything is in exactly one place: see [`Findings::is_well`].
    pub well: bool,
    /// The counts and the faults.
    #[serde(flatten)]
    pub findings: Findings,
    /// CU seconds of reading the tables; `None` if they are local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cu_seconds: Option<f64>,
    /// Where its rows are, if they were recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
}

impl Reconciliation {
    pub(super) fn new(range: TimeRange, findings: Findings, cu_seconds: Option<f64>) -> Self {
        Self {
            range,
            well: findings.is_well(),
            findings,
            cu_seconds,
            recorded: None,
        }
    }
}

/// Where the rows of a reconciliation are.
#[derive(Debug, Serialize)]
pub struct Recorded {
    /// The location of the table.
    pub table: String,
    /// The rows' time of the check.
    #[serde(with = "time")]
    pub checked_at: Timestamp,
    /// Rows: one for each date.
    pub rows: usize,
}

/// What was found on one date, or on several.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// Events of the range.
    pub events: EventCounts,
    /// Their attachments.
    pub attachments: AttachmentCounts,
    /// What is nowhere.
    pub missing: Vec<Missing>,
    /// Keys that a table has more than once, or both attachment tables have.
    pub duplicates: Vec<Duplicate>,
    /// Records on the raw topic that are not events, and events that the ingester rejects as a whole: dead letters have them.
    pub unreadable: u64,
    /// Events that have URLs outside their list of attachments.
    pub events_with_unlisted_urls: u64,
    /// The number of these events, by the JSON path of the URL.
    pub unlisted_urls: BTreeMap<String, u64>,
}

/// Counts of events.
#[derive(Debug, Default, Serialize)]
pub struct EventCounts {
    /// All.
    pub all: u64,
    /// Not written to `xact_events` yet.
    pub waiting: u64,
    /// Known from their rows alone: the raw topic no longer has them.
    pub by_table_alone: u64,
}

/// Counts of attachments.
#[derive(Debug, Default, Serialize)]
pub struct AttachmentCounts {
    /// All.
    pub all: u64,
    /// In `xact_attachments`.
    pub completed: u64,
    /// In `xact_attachments_failed`.
    pub failed: u64,
    /// Still in a topic, by the role of the topic.
    pub waiting: BTreeMap<&'static str, u64>,
}

/// An attachment, or the row of an event, that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// `attachment` or `event row`.
    pub what: &'static str,
    /// The event.
    pub trace_id: String,
    /// The time of the event; `None` if only rows of its attachments name it.
    #[serde(rename = "event_timestamp", with = "time::optional")]
    pub at: Option<Timestamp>,
    /// The id of the attachment, if the raw topic still has the event.
    pub media_id: Option<Uuid>,
    /// The redacted URL of the attachment; `None` for the row of the event.
    #[serde(rename = "attachment_url")]
    pub url: Option<String>,
}

impl Missing {
    pub(super) fn event_row(trace_id: &str, at: Option<Timestamp>) -> Self {
        Self {
            what: "event row",
            trace_id: trace_id.to_owned(),
            at,
            media_id: None,
            url: None,
        }
    }
}

/// A key that has more rows than one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Duplicate {
    /// The table, or both tables of an attachment that is completed and failed.
    pub table: &'static str,
    /// The key.
    pub key: String,
    /// Its rows.
    pub rows: u32,
}

impl Findings {
    /// Returns whether nothing is missing, nothing is duplicate, and no event has a URL that may be an attachment outside its
    /// list of attachments.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.missing.is_empty() && self.duplicates.is_empty() && self.unlisted_urls.is_empty()
    }

    /// Adds the findings of another date.
    pub(super) fn add(&mut self, other: Self) {
        self.events.all += other.events.all;
        self.events.waiting += other.events.waiting;
        self.events.by_table_alone += other.events.by_table_alone;
        self.attachments.all += other.attachments.all;
        self.attachments.completed += other.attachments.completed;
        self.attachments.failed += other.attachments.failed;
        for (place, count) in other.attachments.waiting {
            *self.attachments.waiting.entry(place).or_default() += count;
        }
        self.missing.extend(other.missing);
        self.duplicates.extend(other.duplicates);
        self.unreadable += other.unreadable;
        self.events_with_unlisted_urls += other.events_with_unlisted_urls;
        for (path, count) in other.unlisted_urls {
            *self.unlisted_urls.entry(path).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_json_is_one_object_of_range_counts_and_faults() {
        let at = |text: &str| text.parse().unwrap();
        let range = TimeRange::new(at("2024-12-31T00:00:00Z"), at("2025-01-01T00:00:00Z")).unwrap();
        let mut findings = Findings::default();
        findings.missing.push(Missing::event_row("t", None));
        findings.duplicates.push(Duplicate {
            table: "xact_events",
            key: "k".to_owned(),
            rows: 2,
        });
        let json = serde_json::to_value(Reconciliation::new(range, findings, None)).unwrap();
        let expected = json!({
            "from": "2024-12-31T00:00:00.000000Z", "to": "2025-01-01T00:00:00.000000Z", "well": false,
            "events": {"all": 0, "waiting": 0, "by_table_alone": 0},
            "attachments": {"all": 0, "completed": 0, "failed": 0, "waiting": {}},
            "missing": [{"what": "event row", "trace_id": "t", "event_timestamp": Value::Null, "media_id": Value::Null,
                "attachment_url": Value::Null}],
            "duplicates": [{"table": "xact_events", "key": "k", "rows": 2}],
            "unreadable": 0, "events_with_unlisted_urls": 0, "unlisted_urls": {},
        });
        assert_eq!(json, expected);
    }
}
