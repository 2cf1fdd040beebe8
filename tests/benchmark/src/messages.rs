//! The messages that the parts send: one attachment each, whose ids follow from a number.

use std::sync::LazyLock;

use serde_json::json;

use xact_testkit::events::{event, task};

/// Returns the trace id of a message.
pub(crate) fn trace_id(number: u64) -> String {
    format!("bench-{number:08}")
}

/// Returns the event of a trace, with one attachment.
pub(crate) fn event_of(trace_id: &str) -> Vec<u8> {
    event(trace_id, &json!([url(trace_id)]))
}

/// Returns the download task of a trace.
pub(crate) fn task_of(trace_id: &str, url: &str) -> Vec<u8> {
    task(trace_id, url, &json!({}))
}

/// Returns a presigned URL as S3 creates it: its length is part of the cost.
pub(crate) fn url(trace_id: &str) -> String {
    url_of_kind("ok", trace_id)
}

/// Returns the URL of a file that is delayed by 50 ms.
pub(crate) fn delayed_url(trace_id: &str) -> String {
    url_of_kind("delayed", trace_id)
}

/// `kind`: what the attachment source does with the file.
fn url_of_kind(kind: &str, trace_id: &str) -> String {
    format!(
        "https://claimxperience.com/{kind}/9000/{trace_id}/a.pdf?{}",
        signature()
    )
}

/// Returns the query of a URL that S3 has presigned when the run began, for the longest time that it allows. It stays the same
/// for the whole run, because the ids of attachments follow from their URLs.
pub(crate) fn signature() -> &'static str {
    static SIGNATURE: LazyLock<String> = LazyLock::new(|| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={}&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature={:064x}",
            jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
            0
        )
    });
    &SIGNATURE
}
