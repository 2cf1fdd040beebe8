//! The results that the handler reads, and the rows that they become.

use jiff::{Timestamp, civil::date};

use xact_contracts::messages::DownloadResult;
use xact_contracts::time;
use xact_lake::AttachmentRow;
use xact_testkit::events::completed;
use xact_testkit::ids;

/// Their topic.
pub(crate) const RESULTS: &str = "xact.downloads.results";

/// Returns the row of a result as it is, without redaction and checks.
pub(crate) fn row_of(result: DownloadResult) -> AttachmentRow {
    AttachmentRow {
        media_id: result.media_id.to_string(),
        attachment_url: Some(result.attachment_url),
        blob_path: Some(result.blob_path),
        trace_id: Some(result.trace_id),
        file_type: Some(result.file_type),
        status_subtype: Some(result.status_subtype),
        assignment_id: Some(result.assignment_id),
        content_type: result.content_type,
        declared_content_type: result.declared_content_type,
        sha256: result.sha256,
        bytes_downloaded: i64::try_from(result.bytes_downloaded).ok(),
        retry_count: i32::try_from(result.retry_count).ok(),
        downloaded_at: result.downloaded_at,
        created_at: result.created_at,
        event_date: time::utc_date(result.original_timestamp),
    }
}

fn url(trace_id: &str) -> String {
    format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf")
}

/// Returns the result that is sent for a trace.
pub(crate) fn result_of(trace_id: &str) -> Vec<u8> {
    completed(trace_id, &url(trace_id))
}

/// Returns the media id of this result.
pub(crate) fn media_id(trace_id: &str) -> String {
    ids::media_id(trace_id, &url(trace_id))
}

/// Returns the row of this result.
pub(crate) fn row(trace_id: &str) -> AttachmentRow {
    let now = Timestamp::UNIX_EPOCH;
    AttachmentRow {
        media_id: media_id(trace_id),
        attachment_url: Some(url(trace_id)),
        blob_path: Some(format!("documentsReceived/A1/{trace_id}/A1_a.pdf")),
        trace_id: Some(trace_id.to_owned()),
        file_type: Some("PDF".to_owned()),
        status_subtype: Some("documentsReceived".to_owned()),
        assignment_id: Some("A1".to_owned()),
        content_type: None,
        declared_content_type: None,
        sha256: Some("00".to_owned()),
        bytes_downloaded: Some(5),
        retry_count: Some(0),
        downloaded_at: Some(now),
        created_at: now,
        event_date: date(2024, 12, 31),
    }
}
