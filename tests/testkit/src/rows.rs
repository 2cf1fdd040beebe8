//! The expected rows of the messages that were sent, by "Delta tables" in `shared/contracts/SPECIFICATION.md`.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::sent::{Attachment, End, Failure, Sent, without_query};
use crate::tables::Tables;

/// A row, by column.
pub type Row = Map<String, Value>;

/// Columns of `xact_events` that depend on the clock: only their presence and order are checked.
pub const EVENT_CLOCK: &[&str] = &["ingested_at"];
/// The same columns of `xact_attachments`; the retry count is checked separately.
pub const ATTACHMENT_CLOCK: &[&str] = &["downloaded_at", "created_at", "retry_count"];
/// The same columns of `xact_attachments_failed`.
pub const FAILED_CLOCK: &[&str] = &["failed_at", "created_at", "error_message"];
/// The same columns where the details of the failure are not known in advance ([`Failure::Any`]).
pub const ANY_FAILURE: &[&str] = &[
    "failed_at",
    "created_at",
    "error_message",
    "error_category",
    "http_status",
    "retry_count",
];

/// The columns of `xact_events` with their paths in `payload` or `data`.
const PLACES: [(&str, &str); 20] = [
    ("description", "/description"),
    ("assignment_id", "/assignmentId"),
    ("original_assignment_id", "/originalAssignmentId"),
    ("xn_address", "/xnAddress"),
    ("carrier_id", "/carrierId"),
    ("estimate_version", "/estimateVersion"),
    ("note", "/note"),
    ("author", "/author"),
    ("sender_reviewer_name", "/senderReviewerName"),
    ("sender_reviewer_email", "/senderReviewerEmail"),
    ("carrier_reviewer_name", "/carrierReviewerName"),
    ("carrier_reviewer_email", "/carrierReviewerEmail"),
    ("event_datetime_mdt", "/dateTime"),
    ("claim_number", "/adm/coverageLoss/claimNumber"),
    ("contact_type", "/contact/type"),
    ("contact_name", "/contact/name"),
    ("contact_phone_type", "/contact/contactMethods/phone/type"),
    ("contact_phone_number", "/contact/contactMethods/phone/number"),
    ("contact_phone_extension", "/contact/contactMethods/phone/extension"),
    ("contact_email_address", "/contact/contactMethods/email/address"),
];

/// Returns the row of a readable event, without the columns of the clock.
pub fn event_row(sent: &Sent) -> Option<Row> {
    let event = sent.event.as_ref()?;
    let payload = sent.payload();
    let mut row = Row::new();
    row.insert("event_id".into(), ids::event_id(&sent.trace_id).into());
    row.insert("trace_id".into(), sent.trace_id.clone().into());
    row.insert("type".into(), kind(event).into());
    row.insert("status_subtype".into(), status_subtype(event).into());
    row.insert("version".into(), as_text(&event["version"]));
    row.insert("event_date".into(), timestamp(event)[..10].into());
    row.insert("event_timestamp".into(), timestamp(event).into());
    for (column, place) in PLACES {
        row.insert(column.into(), payload.pointer(place).map_or(Value::Null, as_text));
    }
    let urls: Vec<&str> = sent
        .attachments
        .iter()
        .map(|attachment| without_query(&attachment.url))
        .collect();
    let joined = if urls.is_empty() {
        Value::Null
    } else {
        urls.join(",").into()
    };
    row.insert("attachments".into(), joined);
    row.insert("source_system".into(), as_text(&event["source_system"]));
    row.insert(
        "raw_json".into(),
        serde_json::from_str(&sent.text_without_queries()).unwrap_or_default(),
    );
    Some(row)
}

/// Returns the row of an attachment that must end as a file, without the columns of the clock.
pub fn attachment_row(sent: &Sent, attachment: &Attachment) -> Option<Row> {
    let End::File {
        content: Some(content), ..
    } = &attachment.end
    else {
        return None;
    };
    let mut row = common(sent, attachment)?;
    row.insert("blob_path".into(), blob_path(sent, attachment)?.into());
    let file = file_name(&attachment.url);
    let extension = file.rsplit('.').next()?;
    row.insert("file_type".into(), extension.to_uppercase().into());
    row.insert("content_type".into(), content_type(extension).into());
    row.insert("declared_content_type".into(), Value::Null);
    row.insert("sha256".into(), content.sha256.clone().into());
    row.insert("bytes_downloaded".into(), content.bytes.into());
    Some(row)
}

/// Returns the row of an attachment that must fail, without the columns of the clock and the text.
pub fn failed_row(sent: &Sent, attachment: &Attachment) -> Option<Row> {
    let End::Failed(failure) = attachment.end else {
        return None;
    };
    let mut row = common(sent, attachment)?;
    row.insert("replay_count".into(), 0.into());
    if let Failure::Permanent { http_status, .. } = failure {
        row.insert("error_category".into(), "permanent".into());
        row.insert("http_status".into(), json!(http_status));
        row.insert("retry_count".into(), 0.into());
    }
    Some(row)
}

/// Returns the expected tables after these messages with a fixed clock, for tests of the verifiers.
pub fn tables(sent: &[Sent]) -> Tables {
    const NOW: &str = "2025-01-01T00:00:00.000000Z";
    let with = |row: Option<Row>, columns: &Value| {
        let mut row = row?;
        for (column, value) in columns.as_object()? {
            row.entry(column).or_insert_with(|| value.clone());
        }
        Some(Value::Object(row))
    };
    let mut tables = Tables::default();
    for message in sent {
        let clock = json!({"ingested_at": NOW});
        if let Some(mut row) = with(event_row(message), &clock) {
            row["raw_json"] = message.text_without_queries().into();
            tables.events.push(row);
        }
        for attachment in &message.attachments {
            let clock = json!({"downloaded_at": NOW, "created_at": NOW, "retry_count": 0});
            tables
                .attachments
                .extend(with(attachment_row(message, attachment), &clock));
            let text = match attachment.end {
                End::Failed(Failure::Permanent { message, .. }) => message,
                _ => "",
            };
            let clock = json!({"failed_at": NOW, "created_at": NOW, "error_message": text,
                "error_category": "transient", "http_status": null, "retry_count": 4});
            tables.failed.extend(with(failed_row(message, attachment), &clock));
        }
    }
    tables
}

/// Returns `{status_subtype}/{assignment_id}/{trace_id}/{name}`.
pub fn blob_path(sent: &Sent, attachment: &Attachment) -> Option<String> {
    let event = sent.event.as_ref()?;
    let payload = sent.payload();
    let assignment = as_text(&payload["assignmentId"]).as_str()?.to_owned();
    let status = status_subtype(event);
    let name = |url: &str| {
        let file = file_name(url);
        match (status.as_str(), as_text(&payload["estimateVersion"]).as_str()) {
            ("firstNoticeOfLossReceived", _) => format!("{assignment}_FNOL_{file}"),
            ("estimatePackageReceived", version) => format!("{assignment}_{}_{file}", version.unwrap_or("unknown")),
            _ => format!("{assignment}_{file}"),
        }
    };
    let own = name(&attachment.url);
    let mut before = sent
        .attachments
        .iter()
        .take_while(|other| other.media_id != attachment.media_id);
    // The first attachment with a name keeps it.
    let name = if before.any(|other| name(&other.url) == own) {
        let (stem, extension) = own.rsplit_once('.')?;
        format!("{stem}-{}.{extension}", &attachment.media_id[..8])
    } else {
        own
    };
    Some(format!("{status}/{assignment}/{}/{name}", sent.trace_id))
}

/// Returns the columns that both tables of attachments share.
fn common(sent: &Sent, attachment: &Attachment) -> Option<Row> {
    let event = sent.event.as_ref()?;
    let mut row = Row::new();
    row.insert("media_id".into(), attachment.media_id.clone().into());
    row.insert("trace_id".into(), sent.trace_id.clone().into());
    row.insert("attachment_url".into(), without_query(&attachment.url).into());
    row.insert("status_subtype".into(), status_subtype(event).into());
    row.insert("assignment_id".into(), as_text(&sent.payload()["assignmentId"]));
    row.insert("event_date".into(), timestamp(event)[..10].into());
    Some(row)
}

/// Returns the last part of the path, decoded, with its extension in lower case.
fn file_name(url: &str) -> String {
    let last = without_query(url).rsplit('/').next().unwrap_or_default();
    let decoded = percent_decode_str(last).decode_utf8_lossy();
    match decoded.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{}", extension.to_lowercase()),
        None => decoded.into_owned(),
    }
}

/// Returns the content type that the sample server declares.
fn content_type(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "pdf" => "application/pdf",
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "mov" => "video/quicktime",
        _ => return None,
    })
}

fn kind(event: &Value) -> String {
    let name = if event["type"].is_null() { "event_type" } else { "type" };
    event[name].as_str().unwrap_or_default().to_owned()
}

/// Returns the part of the type after the last dot.
fn status_subtype(event: &Value) -> String {
    kind(event).rsplit('.').next().unwrap_or_default().to_owned()
}

/// Formats a time as in the tables; samples and tests omit microseconds of zero.
fn timestamp(event: &Value) -> String {
    let text = event["timestamp"]
        .as_str()
        .or(event["utcDateTime"].as_str())
        .unwrap_or("1970-01-01T00:00:00Z");
    match text.strip_suffix('Z') {
        Some(seconds) if !text.contains('.') => format!("{seconds}.000000Z"),
        _ => text.to_owned(),
    }
}

/// Returns the value of a text column: other types as JSON text, and null for a missing value.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value.clone(),
        other => other.to_string().into(),
    }
}
