//! Event and media ids: name-based UUIDs, so that the same event and attachment always have the same id.
//!
//! They are the unique keys of the tables: everything that makes redelivery harmless rests on them.

use std::sync::LazyLock;

use uuid::Uuid;

static EVENT_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/event_id"));
static MEDIA_NAMESPACE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"http://nsmkdvPipe/media_id"));

/// The id of an event: key of `xact_events`.
#[must_use]
pub fn event_id(trace_id: &str) -> Uuid {
    Uuid::new_v5(&EVENT_NAMESPACE, trace_id.as_bytes())
}

/// The id of one attachment of an event: key of `xact_attachments`.
///
/// `attachment_url` is the URL as the event spells it, query string included.
#[must_use]
pub fn media_id(trace_id: &str, attachment_url: &str) -> Uuid {
    Uuid::new_v5(&MEDIA_NAMESPACE, format!("{trace_id}:{attachment_url}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_specification() {
        assert_eq!(event_id("test-001").to_string(), "33034601-4cde-5f33-b8b6-03dfba430b15");
        assert_eq!(
            media_id("test-001", "https://claimxperience.com/test.pdf").to_string(),
            "13bb61f0-41d1-548c-97c8-ebdee367da68"
        );
    }
}
