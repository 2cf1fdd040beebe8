//! Ids that make redelivery harmless.
//!
//! [`event_id`], [`media_id`] and [`reconciliation_id`] are the unique keys of the tables. They are name-based UUIDs, so the same event or
//! attachment always has the same id. [`AppId`] names a partition as the tables' commits know it.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::time;

static EVENT_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/event_id"));
static MEDIA_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/media_id"));
static TRACE_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/trace"));
static RECONCILIATION_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/reconciliation_id"));

/// Returns the id of an event: the key of `xact_events`.
#[must_use]
pub fn event_id(trace_id: &str) -> Uuid {
    Uuid::new_v5(&EVENT_NAMESPACE, trace_id.as_bytes())
}

/// Returns the id of the distributed trace of a record whose source began none: both stages that read it, and each
/// redelivery, continue the same trace.
#[must_use]
pub fn trace_of_record(topic: &str, partition: i32, offset: i64) -> u128 {
    let mut name = String::with_capacity(topic.len() + 32);
    // Writing to memory cannot fail.
    let _ = write!(name, "{topic}/{partition}/{offset}");
    Uuid::new_v5(&TRACE_NAMESPACE, name.as_bytes()).as_u128()
}

/// Returns the id of one attachment of an event: the key of `xact_attachments`.
///
/// `attachment_url` is the URL as the event spells it, including the query string.
#[must_use]
pub fn media_id(trace_id: &str, attachment_url: &str) -> Uuid {
    Uuid::new_v5(&MEDIA_NAMESPACE, [trace_id, ":", attachment_url].concat().as_bytes())
}

/// Returns the id of one reconciliation of a date: the key of `xact_reconciliation`.
#[must_use]
pub fn reconciliation_id(date: Date, checked_at: Timestamp) -> Uuid {
    let name = format!("{date}:{}", time::format(checked_at));
    Uuid::new_v5(&RECONCILIATION_NAMESPACE, name.as_bytes())
}

/// A topic partition as read by one consumer group: `{group}:{topic}:{partition}`.
///
/// A Delta commit stores the next offset of a partition in a `txn` action with this id. The text is therefore part of
/// the tables' format: a different text would start from no position. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Returns the id of a partition as this group reads it.
    #[must_use]
    pub fn new(group: &str, topic: &str, partition: i32) -> Self {
        Self(format!("{group}:{topic}:{partition}").into())
    }

    /// Returns the id as a `txn` action stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Takes over an id that a table's log holds.
impl From<&str> for AppId {
    fn from(stored: &str) -> Self {
        Self(stored.into())
    }
}

impl Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// As a string, in a log line too.
impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_id_is_the_text_that_tables_store() {
        let app_id = AppId::new("xact-event-writer", "xact.events.raw", 3);
        assert_eq!(app_id.to_string(), "xact-event-writer:xact.events.raw:3");
        assert_eq!(app_id, AppId::from("xact-event-writer:xact.events.raw:3"));
    }

    #[test]
    fn ids_of_known_events_attachments_and_reconciliations() {
        assert_eq!(event_id("test-001").to_string(), "33034601-4cde-5f33-b8b6-03dfba430b15");
        assert_eq!(
            media_id("test-001", "https://claimxperience.com/test.pdf").to_string(),
            "13bb61f0-41d1-548c-97c8-ebdee367da68"
        );
        let checked_at = "2025-01-01T03:00:00.5Z".parse().unwrap();
        assert_eq!(
            reconciliation_id(Date::constant(2024, 12, 31), checked_at).to_string(),
            "7da4faee-1964-53aa-9722-14cdd0a2be7d"
        );
    }
}
