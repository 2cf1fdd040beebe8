//! The result of one attempt for an attachment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::codec::{DecodeError, decode_json};
use super::fields;
use super::problem::Problem;
use super::task::metadata;
use super::{CachedDownload, DownloadTask, Message};
use crate::category::Category;
use crate::time;
use crate::topology::TopicRole;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The file is in OneLake.
    Completed,
    /// This attempt failed and another one follows. Makes no row.
    #[default]
    Failed,
    /// The last attempt failed.
    FailedPermanent,
}

/// One result. Topic: results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DownloadResult {
    /// Id of the event.
    #[serde(deserialize_with = "fields::required")]
    pub trace_id: String,
    /// Id of the attachment.
    pub media_id: Uuid,
    /// Where it came from, without the query string, which holds the signature: results are stored and shared.
    #[serde(deserialize_with = "fields::required")]
    pub attachment_url: String,
    /// Path below `ONELAKE_BASE_PATH`; empty if none was assigned.
    #[serde(default)]
    pub blob_path: String,
    /// Last part of the event's type, such as `documentsReceived`.
    #[serde(deserialize_with = "fields::required")]
    pub status_subtype: String,
    /// Kind of the content: its extension in upper case, spelled as in the URL if that is the same kind.
    #[serde(deserialize_with = "fields::required")]
    pub file_type: String,
    /// Id of the assignment; empty if the event has none.
    #[serde(default)]
    pub assignment_id: String,
    /// How the attempt ended.
    pub status: Status,
    /// Status of the HTTP response, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Size of the file in bytes.
    #[serde(default)]
    pub bytes_downloaded: u64,
    /// Hash of the file in hexadecimal.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Registered media type if the content proves the kind, else the type that the server declared.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Type that the server declared, if it does not fit the content.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub declared_content_type: Option<String>,
    /// Number of failed attempts before this result.
    #[serde(default, deserialize_with = "fields::count")]
    pub retry_count: u32,
    /// How often the task was replayed from the dead-letter topic. Part of the key of `xact_attachments_failed`.
    #[serde(default, deserialize_with = "fields::count")]
    pub replay_count: u32,
    /// Category of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_category: Option<Category>,
    /// Text of the failure, at most 500 characters.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Timestamp of the event.
    #[serde(with = "time")]
    pub original_timestamp: Timestamp,
    /// Whether the event has no valid timestamp. `original_timestamp` is then that of its record, and differs if the event
    /// is sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timestamp_from_record: bool,
    /// When the download was complete.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub downloaded_at: Option<Timestamp>,
    /// When this result was made.
    #[serde(with = "time")]
    pub created_at: Timestamp,
    /// When the presigned URL expires.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it had expired before the ingester handled the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_at_ingest: Option<bool>,
}

impl DownloadResult {
    /// Returns the result of a file that is in OneLake.
    #[must_use]
    pub fn completed(cached: &CachedDownload, now: Timestamp) -> Self {
        Self {
            status: Status::Completed,
            bytes_downloaded: cached.bytes_downloaded,
            sha256: Some(cached.sha256.clone()),
            content_type: cached.content_type.clone(),
            declared_content_type: cached.declared_content_type.clone(),
            downloaded_at: Some(cached.downloaded_at),
            ..Self::blank(&cached.to_task(), now)
        }
    }

    /// Returns the result of a failed attempt that another one follows.
    #[must_use]
    pub fn failed(task: &DownloadTask, problem: &Problem, now: Timestamp) -> Self {
        Self {
            http_status: problem.http_status,
            error_category: Some(problem.category),
            error_message: Some(problem.message().to_owned()),
            ..Self::blank(task, now)
        }
    }

    /// Returns the result of a failed attempt that no other one follows.
    #[must_use]
    pub fn failed_permanently(task: &DownloadTask, problem: &Problem, now: Timestamp) -> Self {
        Self {
            status: Status::FailedPermanent,
            ..Self::failed(task, problem, now)
        }
    }

    fn blank(task: &DownloadTask, now: Timestamp) -> Self {
        let noted = |key: &str| task.metadata.get(key);
        Self {
            trace_id: task.trace_id.clone(),
            media_id: task.media_id,
            attachment_url: crate::redaction::redact_url(&task.attachment_url),
            blob_path: task.blob_path.clone(),
            status_subtype: task.status_subtype.clone(),
            file_type: task.file_type.clone(),
            assignment_id: task.assignment_id.clone(),
            retry_count: task.retry_count,
            replay_count: task.replay_count(),
            original_timestamp: task.original_timestamp,
            timestamp_from_record: noted(metadata::TIMESTAMP_FROM_RECORD) == Some(&true.into()),
            created_at: time::to_microseconds(now),
            expires_at: noted(metadata::EXPIRES_AT).and_then(time::parse),
            expired_at_ingest: noted(metadata::EXPIRED_AT_INGEST).and_then(Value::as_bool),
            ..Self::default()
        }
    }
}

impl Message for DownloadResult {
    const NAME: &'static str = "download result";
    const ROLE: TopicRole = TopicRole::Results;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_json(Self::NAME, bytes)
    }

    fn trace_id(&self) -> &str {
        &self.trace_id
    }

    fn media_id(&self) -> Option<Uuid> {
        Some(self.media_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::tests::a_task;
    use super::*;
    use crate::messages::encode;

    #[test]
    fn a_completed_result_has_the_found_and_the_declared_type() {
        let (task, now) = (a_task(), a_task().original_timestamp);
        let cached = |declared: Option<&str>| {
            let content_type = Some("image/heic".to_owned());
            CachedDownload::of_task(task.clone(), "13/1".to_owned(), 5, content_type, "00".to_owned(), now)
                .found_to_be(Some("HEIC".to_owned()), declared.map(str::to_owned))
        };
        let result = DownloadResult::completed(&cached(Some("image/jpeg")), now);
        assert_eq!(result.file_type, "HEIC");
        assert_eq!(result.content_type.as_deref(), Some("image/heic"));
        assert_eq!(result.declared_content_type.as_deref(), Some("image/jpeg"));
        assert_eq!(DownloadResult::decode(&encode(&result)).unwrap(), result);
        // Without a difference, the message has only fields that earlier versions know.
        let plain = encode(&DownloadResult::completed(&cached(None), now));
        assert!(!String::from_utf8_lossy(&plain).contains("declared"));
        assert!(!String::from_utf8_lossy(&encode(&cached(None))).contains("declared"));
    }

    #[test]
    fn a_failed_result_round_trips_without_the_signature() {
        let mut task = a_task();
        task.attachment_url.push_str("?sig=SECRET");
        let problem = Problem::new(Category::Transient, "503 from https://a/b?sig=SECRET").with_status(503);
        let result = DownloadResult::failed_permanently(&task, &problem, task.original_timestamp);
        let text = encode(&result);
        assert!(!String::from_utf8_lossy(&text).contains("SECRET"));
        assert_eq!(DownloadResult::decode(&text).unwrap(), result);
        assert_eq!(result.status, Status::FailedPermanent);
        assert_eq!(result.http_status, Some(503));
    }
}
