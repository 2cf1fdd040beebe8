//! The download task: one attachment to download.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Message;
use super::codec::{DecodeError, decode_json};
use super::fields;
use crate::time;
use crate::topology::TopicRole;

/// Keys that the pipeline itself writes into [`DownloadTask::metadata`].
pub mod metadata {
    /// Text of the last failure, at most 500 characters.
    pub const LAST_ERROR: &str = "last_error";
    /// Category of the last failure.
    pub const ERROR_CATEGORY: &str = "error_category";
    /// When the task is due again.
    pub const RETRY_AT: &str = "retry_at";
    /// `true` on a task that was replayed from the dead-letter topic.
    pub const REPLAYED_FROM_DLQ: &str = "replayed_from_dlq";
    /// Partition of the dead letter that was replayed.
    pub const DLQ_PARTITION: &str = "dlq_partition";
    /// Offset of the dead letter that was replayed.
    pub const DLQ_OFFSET: &str = "dlq_offset";
    /// How often the task was replayed.
    pub const REPLAY_COUNT: &str = "replay_count";
    /// When the presigned URL expires.
    pub const EXPIRES_AT: &str = "expires_at";
    /// `true` if it had expired before the ingester handled the event.
    pub const EXPIRED_AT_INGEST: &str = "expired_at_ingest";
    /// `true` if the event has no valid timestamp: the task has that of the event's record.
    pub const TIMESTAMP_FROM_RECORD: &str = "timestamp_from_record";
}

/// One attachment to download. Topics: pending and retry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownloadTask {
    /// Id of the event.
    #[serde(deserialize_with = "fields::required")]
    pub trace_id: String,
    /// Id of the attachment.
    pub media_id: Uuid,
    /// Where to download it. A presigned URL is a secret.
    #[serde(deserialize_with = "fields::required")]
    pub attachment_url: String,
    /// Destination below `ONELAKE_BASE_PATH`.
    #[serde(deserialize_with = "fields::required")]
    pub blob_path: String,
    /// Last part of the event's type, such as `documentsReceived`.
    #[serde(deserialize_with = "fields::required")]
    pub status_subtype: String,
    /// Extension in upper case; `UNKNOWN` without one.
    #[serde(deserialize_with = "fields::required")]
    pub file_type: String,
    /// Id of the assignment.
    #[serde(deserialize_with = "fields::required")]
    pub assignment_id: String,
    /// Version of the estimate.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub estimate_version: Option<String>,
    /// Number of failed attempts.
    #[serde(default, deserialize_with = "fields::count")]
    pub retry_count: u32,
    /// Domain of the event: `xact`.
    #[serde(default = "default_event_type", deserialize_with = "fields::required")]
    pub event_type: String,
    /// Subtype of the event.
    #[serde(default, deserialize_with = "fields::text")]
    pub event_subtype: Option<String>,
    /// Timestamp of the event. It decides the `event_date` of every row.
    #[serde(with = "time")]
    pub original_timestamp: Timestamp,
    /// Additional values; [`metadata`] lists those of the pipeline.
    #[serde(default, deserialize_with = "fields::object")]
    pub metadata: Map<String, Value>,
}

fn default_event_type() -> String {
    "xact".to_owned()
}

impl DownloadTask {
    /// Returns how often the task was replayed from the dead-letter topic.
    #[must_use]
    pub fn replay_count(&self) -> u32 {
        self.metadata.get(metadata::REPLAY_COUNT).map_or(0, fields::count_of)
    }

    /// Returns when the task is due. `None`, also for an unreadable value, means now.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        time::parse(self.metadata.get(metadata::RETRY_AT)?)
    }
}

impl Message for DownloadTask {
    const NAME: &'static str = "download task";
    const ROLE: TopicRole = TopicRole::Pending;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_json(Self::NAME, bytes)
    }

    fn trace_id(&self) -> &str {
        &self.trace_id
    }

    fn media_id(&self) -> Option<Uuid> {
        Some(self.media_id)
    }

    fn task(&self) -> Option<DownloadTask> {
        Some(self.clone())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::messages::encode;

    pub(in crate::messages) fn a_task() -> DownloadTask {
        DownloadTask {
            trace_id: "test-001".to_owned(),
            media_id: crate::ids::media_id("test-001", "https://claimxperience.com/test.pdf"),
            attachment_url: "https://claimxperience.com/test.pdf".to_owned(),
            blob_path: "documentsReceived/A123/test-001/A123_test.pdf".to_owned(),
            status_subtype: "documentsReceived".to_owned(),
            file_type: "PDF".to_owned(),
            assignment_id: "A123".to_owned(),
            estimate_version: None,
            retry_count: 0,
            event_type: "xact".to_owned(),
            event_subtype: Some("xact".to_owned()),
            original_timestamp: "2024-12-31T12:00:00Z".parse().unwrap(),
            metadata: Map::new(),
        }
    }

    #[test]
    fn round_trip() {
        let task = a_task();
        assert_eq!(DownloadTask::decode(&encode(&task)).unwrap(), task);
    }

    #[test]
    fn a_task_in_a_looser_form_is_decoded() {
        let task = DownloadTask::decode(br#"{"trace_id":" t ","media_id":"13bb61f0-41d1-548c-97c8-ebdee367da68","attachment_url":"https://a/b.pdf",
            "blob_path":"p","status_subtype":"s","file_type":"PDF","assignment_id":12,"estimate_version":null,"retry_count":"2","original_timestamp":"2024-12-31 12:00:00",
            "metadata":null,"something_new":[1]}"#).unwrap();
        assert_eq!((task.trace_id.as_str(), task.assignment_id.as_str()), ("t", "12"));
        assert_eq!((task.retry_count, task.event_type.as_str()), (2, "xact"));
    }

    #[test]
    fn an_error_names_the_blank_or_missing_field() {
        for (from, to, reason) in [
            ("\"A123\"", "\" \"", "blank"),
            ("\"A123\"", "null", "expected a string, found null"),
            ("\"assignment_id\"", "\"other\"", "missing field `assignment_id`"),
            ("\"13bb61f0-41d1", "\"../../etc", "unreadable download task"),
        ] {
            let text = String::from_utf8(encode(&a_task())).unwrap().replace(from, to);
            let error = DownloadTask::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_bad_retry_at_means_now() {
        let mut task = a_task();
        assert_eq!(task.retry_at(), None);
        let at = "2025-01-01T00:00:00Z";
        for (written, read) in [("tomorrow", None), (at, at.parse().ok())] {
            task.metadata.insert(metadata::RETRY_AT.to_owned(), written.into());
            assert_eq!(task.retry_at(), read);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DownloadTask::decode(&bytes);
        }
    }
}
