//! The events of a date and the attachments that they name: what must be somewhere.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use uuid::Uuid;

use xact_contracts::ids;
use xact_contracts::messages::{Event, MAX_ATTACHMENTS};
use xact_contracts::redaction::redact_url;

/// An event of the time range.
#[derive(Debug, Clone)]
pub(super) struct ExpectedEvent {
    pub(super) trace_id: Box<str>,
    pub(super) at: Timestamp,
    pub(super) attachments: Vec<ExpectedAttachment>,
    /// The writer has finished the event, or the event is known from its row.
    pub(super) is_written: bool,
    /// The event has no timestamp: its row may have the date of an earlier record.
    pub(super) is_undated: bool,
}

/// An attachment that an event names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpectedAttachment {
    /// Redacted.
    pub(super) url: Box<str>,
    /// The id comes from the whole URL, so it is known only while the raw topic has the event.
    pub(super) media_id: Option<Uuid>,
    /// The ingester has finished the event.
    pub(super) is_expanded: bool,
}

/// Which stages have finished a record of the raw topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// The ingester.
    pub(super) is_expanded: bool,
    /// The writer.
    pub(super) is_written: bool,
}

/// The expected events, by event id.
#[derive(Debug, Clone, Default)]
pub(super) struct ExpectedEvents(HashMap<Uuid, ExpectedEvent>);

impl ExpectedEvents {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Uuid, &ExpectedEvent)> {
        self.0.iter()
    }

    pub(super) fn contains(&self, id: &Uuid) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn remove(&mut self, id: &Uuid) {
        self.0.remove(id);
    }

    /// Adds an event of the raw topic. The topic may have it several times, and once with more attachments.
    pub(super) fn add_raw(&mut self, event: &Event, at: Timestamp, finished: Finished) {
        // The ingester rejects an event with more attachments as a whole: it becomes a dead letter and no rows.
        let urls = if is_rejected(event) {
            &[][..]
        } else {
            &event.attachments
        };
        let attachments = urls.iter().map(|url| ExpectedAttachment {
            url: redact_url(url).into(),
            media_id: Some(ids::media_id(&event.trace_id, url)),
            is_expanded: finished.is_expanded,
        });
        match self.0.entry(ids::event_id(&event.trace_id)) {
            Entry::Vacant(entry) => {
                entry.insert(ExpectedEvent {
                    trace_id: event.trace_id.as_str().into(),
                    at,
                    attachments: attachments.collect(),
                    is_written: finished.is_written,
                    is_undated: event.timestamp.is_none(),
                });
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.is_written |= finished.is_written;
                for attachment in attachments {
                    let mut same = known.attachments.iter_mut();
                    match same.find(|known| known.media_id == attachment.media_id) {
                        Some(known) => known.is_expanded |= attachment.is_expanded,
                        None => known.attachments.push(attachment),
                    }
                }
            }
        }
    }

    /// Adds an event that is known from its row alone: `attachments` is that column, `event` what the column `raw_json` holds.
    pub(super) fn add_row(&mut self, trace_id: &str, at: Timestamp, attachments: &str, event: Option<&Event>) {
        let mut urls = split_attachments(attachments, event);
        if urls.len() > MAX_ATTACHMENTS {
            urls.clear();
        }
        let attachments = urls.into_iter().map(|url| ExpectedAttachment {
            url: url.into(),
            media_id: None,
            is_expanded: true,
        });
        let expected = ExpectedEvent {
            trace_id: trace_id.into(),
            at,
            attachments: attachments.collect(),
            is_written: true,
            is_undated: false,
        };
        self.0.insert(ids::event_id(trace_id), expected);
    }
}

/// Returns whether the ingester rejects an event because it has too many attachments.
pub(super) fn is_rejected(event: &Event) -> bool {
    event.attachments.len() > MAX_ATTACHMENTS
}

/// Splits the column `attachments` into URLs.
///
/// The column joins the redacted URLs with commas, and a URL may contain commas itself, so the list in the event says where
/// each URL ends. The column has one entry per attachment, also for attachments that are equal after redaction.
pub(crate) fn split_attachments(column: &str, event: Option<&Event>) -> Vec<String> {
    let listed: Vec<String> = event
        .map(|event| event.attachments.iter().map(|url| redact_url(url)).collect())
        .unwrap_or_default();
    let mut urls = Vec::new();
    let mut rest = column;
    while !rest.is_empty() {
        let is_next = |url: &&String| {
            let behind = rest.strip_prefix(url.as_str());
            !url.is_empty() && behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(','))
        };
        let length = listed.iter().filter(is_next).map(String::len).max();
        // Redaction of the whole event and of a single URL can differ in rare cases: then the next comma ends the URL.
        let length = length.unwrap_or_else(|| rest.find(',').unwrap_or(rest.len()));
        urls.push(rest[..length].to_owned());
        rest = rest[length..].strip_prefix(',').unwrap_or_default();
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::messages::Message;

    #[test]
    fn commas_in_urls_do_not_split_them() {
        let raw =
            r#"{"trace_id":"t","event_type":"x","attachments":["https://h/a,b.pdf?sig=[redacted]","https://h/a", 5]}"#;
        let event = Event::decode(raw.as_bytes()).unwrap();
        let column = "https://h/a,b.pdf,https://h/a,5";
        assert_eq!(
            split_attachments(column, Some(&event)),
            ["https://h/a,b.pdf", "https://h/a", "5"]
        );
        assert_eq!(
            split_attachments("https://h/a,https://h/b", None),
            ["https://h/a", "https://h/b"]
        );
        assert_eq!(split_attachments("", Some(&event)), Vec::<String>::new());
    }
}
