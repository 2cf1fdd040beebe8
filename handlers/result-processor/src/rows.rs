//! From a download result to its row.

use jiff::Timestamp;
use jiff::civil::Date;

use xact_contracts::category::Category;
use xact_contracts::messages::DownloadResult;
use xact_contracts::redaction::{redact_text, redact_url, truncate_error};
use xact_contracts::time;
use xact_lake::{AttachmentRow, FailedRow};

/// Returns the row of a completed attachment.
pub(crate) fn attachment(result: &DownloadResult, event_date: Date, now: Timestamp) -> AttachmentRow {
    AttachmentRow {
        media_id: result.media_id.to_string(),
        trace_id: Some(result.trace_id.clone()),
        attachment_url: Some(redact_url(&result.attachment_url)),
        blob_path: Some(result.blob_path.clone()),
        file_type: Some(result.file_type.clone()),
        status_subtype: Some(result.status_subtype.clone()),
        assignment_id: Some(result.assignment_id.clone()),
        content_type: result.content_type.clone(),
        declared_content_type: result.declared_content_type.clone(),
        sha256: result.sha256.clone(),
        bytes_downloaded: Some(i64::try_from(result.bytes_downloaded).unwrap_or(i64::MAX)),
        retry_count: Some(count(result.retry_count)),
        downloaded_at: result.downloaded_at,
        created_at: time::to_microseconds(now),
        event_date,
    }
}

/// Returns the row of a final failure.
pub(crate) fn failed(result: &DownloadResult, event_date: Date, now: Timestamp) -> FailedRow {
    FailedRow {
        media_id: result.media_id.to_string(),
        trace_id: Some(result.trace_id.clone()),
        attachment_url: Some(redact_url(&result.attachment_url)),
        status_subtype: Some(result.status_subtype.clone()),
        assignment_id: Some(result.assignment_id.clone()),
        error_category: Some(result.error_category.unwrap_or(Category::Unknown).to_string()),
        // Our own stages redact the message, but others may write results too.
        error_message: result
            .error_message
            .as_deref()
            .map(|text| truncate_error(&redact_text(text))),
        http_status: result.http_status.map(i32::from),
        retry_count: Some(count(result.retry_count)),
        replay_count: count(result.replay_count),
        failed_at: Some(result.created_at),
        created_at: time::to_microseconds(now),
        event_date,
    }
}

fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
