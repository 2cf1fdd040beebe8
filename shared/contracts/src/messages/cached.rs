//! A downloaded file in the cache that waits for its upload.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::codec::{DecodeError, decode_json};
use super::fields;
use super::{DownloadTask, Message};
use crate::blob_path::PathParts;
use crate::file_rules::FileType;
use crate::time;
use crate::topology::TopicRole;

/// One cached file. Topic: cached. It carries its whole task, so that a lost file can be downloaded again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedDownload {
    /// Id of the event.
    #[serde(deserialize_with = "fields::required")]
    pub trace_id: String,
    /// Id of the attachment.
    pub media_id: Uuid,
    /// Where it was downloaded from. A presigned URL is a secret.
    #[serde(deserialize_with = "fields::required")]
    pub attachment_url: String,
    /// The task's `blob_path`.
    #[serde(deserialize_with = "fields::required")]
    pub destination_path: String,
    /// Path relative to `CACHE_DIR`, since containers may mount the volume at different places.
    #[serde(deserialize_with = "fields::required")]
    pub local_cache_path: String,
    /// Size of the file in bytes.
    pub bytes_downloaded: u64,
    /// Registered media type if the content proves the kind, else the type that the server declared.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Type that the server declared, if it does not fit the content.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub declared_content_type: Option<String>,
    /// Hash of the file in hexadecimal.
    #[serde(deserialize_with = "fields::required")]
    pub sha256: String,
    /// Last part of the event's type, such as `documentsReceived`.
    #[serde(deserialize_with = "fields::required")]
    pub status_subtype: String,
    /// Kind of the content: its extension in upper case, spelled as in the URL if that is the same kind.
    #[serde(deserialize_with = "fields::required")]
    pub file_type: String,
    /// Id of the assignment.
    #[serde(deserialize_with = "fields::required")]
    pub assignment_id: String,
    /// Version of the estimate.
    #[serde(default, deserialize_with = "fields::text", skip_serializing_if = "Option::is_none")]
    pub estimate_version: Option<String>,
    /// Number of failed attempts before this download.
    #[serde(default, deserialize_with = "fields::count")]
    pub retry_count: u32,
    /// Domain of the event: `xact`.
    #[serde(default, deserialize_with = "fields::text")]
    pub event_type: Option<String>,
    /// Subtype of the event.
    #[serde(default, deserialize_with = "fields::text")]
    pub event_subtype: Option<String>,
    /// Timestamp of the event.
    #[serde(with = "time")]
    pub original_timestamp: Timestamp,
    /// When the download was complete.
    #[serde(with = "time")]
    pub downloaded_at: Timestamp,
    /// Metadata of the task.
    #[serde(default, deserialize_with = "fields::object")]
    pub metadata: Map<String, Value>,
}

impl CachedDownload {
    /// Returns the message for a finished task.
    #[must_use]
    pub fn of_task(
        task: DownloadTask,
        local_cache_path: String,
        bytes_downloaded: u64,
        content_type: Option<String>,
        sha256: String,
        downloaded_at: Timestamp,
    ) -> Self {
        Self {
            trace_id: task.trace_id,
            media_id: task.media_id,
            attachment_url: task.attachment_url,
            destination_path: task.blob_path,
            local_cache_path,
            bytes_downloaded,
            content_type,
            declared_content_type: None,
            sha256,
            status_subtype: task.status_subtype,
            file_type: task.file_type,
            assignment_id: task.assignment_id,
            estimate_version: task.estimate_version,
            retry_count: task.retry_count,
            event_type: Some(task.event_type),
            event_subtype: task.event_subtype,
            original_timestamp: task.original_timestamp,
            downloaded_at,
            metadata: task.metadata,
        }
    }

    /// Sets the kind that [`file_rules`](crate::file_rules) found.
    ///
    /// The task's spelling of the same kind is kept: `JPEG` does not become `JPG`.
    #[must_use]
    pub fn found_to_be(mut self, file_type: Option<String>, declared_content_type: Option<String>) -> Self {
        self.declared_content_type = declared_content_type;
        let named = FileType::from_extension(&self.file_type);
        if let Some(found) = file_type.filter(|found| named.is_none() || FileType::from_extension(found) != named) {
            self.file_type = found;
        }
        self
    }

    /// Returns the parts that name the folder of its event.
    #[must_use]
    pub fn path_parts(&self) -> PathParts<'_> {
        PathParts {
            status_subtype: &self.status_subtype,
            assignment_id: &self.assignment_id,
            trace_id: &self.trace_id,
            estimate_version: self.estimate_version.as_deref(),
        }
    }

    /// Returns the task of this file.
    #[must_use]
    pub fn to_task(&self) -> DownloadTask {
        DownloadTask {
            trace_id: self.trace_id.clone(),
            media_id: self.media_id,
            attachment_url: self.attachment_url.clone(),
            blob_path: self.destination_path.clone(),
            status_subtype: self.status_subtype.clone(),
            file_type: self.file_type.clone(),
            assignment_id: self.assignment_id.clone(),
            estimate_version: self.estimate_version.clone(),
            retry_count: self.retry_count,
            event_type: self.event_type.clone().unwrap_or_else(|| "xact".to_owned()),
            event_subtype: self.event_subtype.clone(),
            original_timestamp: self.original_timestamp,
            metadata: self.metadata.clone(),
        }
    }
}

impl Message for CachedDownload {
    const NAME: &'static str = "cached download";
    const ROLE: TopicRole = TopicRole::Cached;

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
        Some(self.to_task())
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::tests::a_task;
    use super::*;
    use crate::messages::encode;

    #[test]
    fn the_task_survives_the_cache() {
        let at = "2024-12-31T12:00:01Z".parse().unwrap();
        let content_type = Some("application/pdf".to_owned());
        let cached = CachedDownload::of_task(a_task(), "13/1".to_owned(), 5, content_type, "00".to_owned(), at);
        let read = CachedDownload::decode(&encode(&cached)).unwrap();
        assert_eq!(read, cached);
        assert_eq!(read.to_task(), a_task());
    }

    #[test]
    fn the_file_type_is_that_of_the_content_spelled_as_in_the_url() {
        for (named, found, expected) in [
            ("PDF", Some("PDF"), "PDF"),
            ("JPEG", Some("JPG"), "JPEG"),
            ("TIF", Some("TIFF"), "TIF"),
            ("HEIF", Some("HEIC"), "HEIF"),
            ("JPG", Some("HEIC"), "HEIC"),
            ("UNKNOWN", Some("PNG"), "PNG"),
            // A file that an earlier version classified.
            ("JPEG", None, "JPEG"),
        ] {
            let task = DownloadTask {
                file_type: named.to_owned(),
                ..a_task()
            };
            let at = task.original_timestamp;
            let cached = CachedDownload::of_task(task, "13/1".to_owned(), 5, None, "00".to_owned(), at);
            let cached = cached.found_to_be(found.map(str::to_owned), Some("image/png".to_owned()));
            assert_eq!(cached.file_type, expected, "{named} {found:?}");
            assert_eq!(cached.declared_content_type.as_deref(), Some("image/png"));
            // Another download of it has the same type.
            assert_eq!(cached.to_task().file_type, expected);
        }
    }
}
