//! The rows of the tables: columns, types and order are declared once, here.
//!
//! - `xact_events`: one row for every readable event
//! - `xact_attachments`: one row for every file in OneLake
//! - `xact_attachments_failed`: one row for every final failure
//! - `xact_reconciliation`: one row for every date that was reconciled, and each time that it was

pub(crate) mod columns;
pub(crate) mod row;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::tables::rows::columns::table_row;
use crate::tables::rows::row::Key;

table_row! {
    /// A row of `xact_events`. Texts are not changed; trimming, redaction and conversion are left to the caller.
    pub struct EventRow {
        /// The key: uuid5 of the trace id.
        pub event_id: String,
        /// The id of an event in all stages.
        pub trace_id: Option<String>,
        /// The event's type, dotted or flat, unchanged.
        pub r#type: Option<String>,
        /// Last part of the type.
        pub status_subtype: Option<String>,
        /// The event's version as text, whatever JSON type it had.
        pub version: Option<String>,
        /// UTC date of `event_timestamp`; the partition.
        pub event_date: Date,
        /// From the event itself.
        pub event_timestamp: Timestamp,
        /// When the row was written.
        pub ingested_at: Timestamp,
        /// `description` of the event.
        pub description: Option<String>,
        /// `assignmentId` of the event.
        pub assignment_id: Option<String>,
        /// `originalAssignmentId` of the event.
        pub original_assignment_id: Option<String>,
        /// `xnAddress` of the event.
        pub xn_address: Option<String>,
        /// `carrierId` of the event.
        pub carrier_id: Option<String>,
        /// `estimateVersion` of the event.
        pub estimate_version: Option<String>,
        /// `note` of the event.
        pub note: Option<String>,
        /// `author` of the event.
        pub author: Option<String>,
        /// `senderReviewerName` of the event.
        pub sender_reviewer_name: Option<String>,
        /// `senderReviewerEmail` of the event.
        pub sender_reviewer_email: Option<String>,
        /// `carrierReviewerName` of the event.
        pub carrier_reviewer_name: Option<String>,
        /// `carrierReviewerEmail` of the event.
        pub carrier_reviewer_email: Option<String>,
        /// `dateTime` of the event, in mountain time, unchanged.
        pub event_datetime_mdt: Option<String>,
        /// Attachment URLs, comma-joined, query strings removed.
        pub attachments: Option<String>,
        /// `adm.coverageLoss.claimNumber`.
        pub claim_number: Option<String>,
        /// `contact.type`.
        pub contact_type: Option<String>,
        /// `contact.name`.
        pub contact_name: Option<String>,
        /// `contact.contactMethods.phone.type`.
        pub contact_phone_type: Option<String>,
        /// `contact.contactMethods.phone.number`.
        pub contact_phone_number: Option<String>,
        /// `contact.contactMethods.phone.extension`.
        pub contact_phone_extension: Option<String>,
        /// `contact.contactMethods.email.address`.
        pub contact_email_address: Option<String>,
        /// `source_system` of the event.
        pub source_system: Option<String>,
        /// The event's JSON, unchanged except that signatures in attachment URLs are redacted.
        pub raw_json: Option<String>,
    }

    impl TableRow {
        const NAME: &'static str = "xact_events";
        const KEY_COLUMN: &'static str = "event_id";
        const STATISTICS: &'static [&'static str] = &["event_id", "event_timestamp", "ingested_at"];

        fn key(&self) -> Key {
            Key::new(&self.event_id)
        }
    }
}

table_row! {
    /// A row of `xact_attachments`.
    pub struct AttachmentRow {
        /// The key: uuid5 of trace id and URL.
        pub media_id: String,
        /// The event that named the attachment.
        pub trace_id: Option<String>,
        /// Without its query string, which holds the signature.
        pub attachment_url: Option<String>,
        /// Path under `ONELAKE_BASE_PATH`.
        pub blob_path: Option<String>,
        /// The type of the content: its extension in upper case, in the spelling of the URL if that is of the same type.
        pub file_type: Option<String>,
        /// Last part of the event's type.
        pub status_subtype: Option<String>,
        /// The assignment that it belongs to.
        pub assignment_id: Option<String>,
        /// The registered media type if the content has a known type, else the type that the source declared.
        pub content_type: Option<String>,
        /// The type that the source declared, if the content has another one.
        pub declared_content_type: Option<String>,
        /// Of the content, in hex.
        pub sha256: Option<String>,
        /// Size of the file.
        pub bytes_downloaded: Option<i64>,
        /// How often the download was retried.
        pub retry_count: Option<i32>,
        /// When the download was finished.
        pub downloaded_at: Option<Timestamp>,
        /// When the result was created.
        pub created_at: Timestamp,
        /// UTC date of `original_timestamp`; the partition.
        pub event_date: Date,
    }

    impl TableRow {
        const NAME: &'static str = "xact_attachments";
        const KEY_COLUMN: &'static str = "media_id";
        const STATISTICS: &'static [&'static str] = &["media_id", "created_at"];
        const ADDED_LATER: &'static [&'static str] = &["declared_content_type"];

        fn key(&self) -> Key {
            Key::new(&self.media_id)
        }
    }
}

table_row! {
    /// A row of `xact_attachments_failed`.
    pub struct FailedRow {
        /// Together with `replay_count` the key: an attachment that was replayed from the DLQ can fail again.
        pub media_id: String,
        /// The event that named the attachment.
        pub trace_id: Option<String>,
        /// Redacted.
        pub attachment_url: Option<String>,
        /// Last part of the event's type.
        pub status_subtype: Option<String>,
        /// The assignment that it belongs to.
        pub assignment_id: Option<String>,
        /// `permanent`, `transient`, `auth`, `circuit_open`, `unknown`.
        pub error_category: Option<String>,
        /// At most 500 characters, redacted.
        pub error_message: Option<String>,
        /// The status of the last response, if there was one.
        pub http_status: Option<i32>,
        /// How often the download was retried.
        pub retry_count: Option<i32>,
        /// 0 unless it was replayed from the DLQ.
        pub replay_count: i32,
        /// When it failed for the last time.
        pub failed_at: Option<Timestamp>,
        /// When the result was created.
        pub created_at: Timestamp,
        /// UTC date of `original_timestamp`; the partition.
        pub event_date: Date,
    }

    impl TableRow {
        const NAME: &'static str = "xact_attachments_failed";
        const KEY_COLUMN: &'static str = "media_id";
        const REPLAY_COLUMN: Option<&'static str> = Some("replay_count");
        const STATISTICS: &'static [&'static str] = &["media_id", "created_at"];

        fn key(&self) -> Key {
            Key::with_replay(&self.media_id, self.replay_count)
        }
    }
}

table_row! {
    /// A row of `xact_reconciliation`. Of several rows of a date, the one with the latest `checked_at` counts.
    pub struct ReconciliationRow {
        /// The key: uuid5 of date and `checked_at`.
        pub reconciliation_id: String,
        /// The UTC date whose events were reconciled; the partition.
        pub event_date: Date,
        /// When the reconciliation began. Before the end of the date, its events were not complete.
        pub checked_at: Timestamp,
        /// Events of the date.
        pub events: i64,
        /// Of these: not written to `xact_events` yet.
        pub events_waiting: i64,
        /// Of these: known from their rows alone, because the raw topic no longer has them.
        pub events_by_table_alone: i64,
        /// Attachments of the events.
        pub attachments: i64,
        /// Of these: in `xact_attachments`.
        pub completed: i64,
        /// Of these: in `xact_attachments_failed`.
        pub failed: i64,
        /// Of these: still in a topic.
        pub waiting: i64,
        /// Attachments that are nowhere, and events without a row.
        pub missing: i64,
        /// Keys that a table has more than once, or both attachment tables have.
        pub duplicate: i64,
        /// Records on the raw topic that are not events, and events that were rejected as a whole.
        pub unreadable: i64,
        /// Events that have URLs outside their list of attachments.
        pub unlisted: i64,
        /// Whether nothing is missing, duplicate or unlisted.
        pub well: bool,
        /// What the reconciliation read from OneLake, without this row, in equal parts for its dates; `None` for a local lake.
        pub cu_seconds: Option<f64>,
        /// The version of the program.
        pub program_version: String,
    }

    impl TableRow {
        const NAME: &'static str = "xact_reconciliation";
        const KEY_COLUMN: &'static str = "reconciliation_id";
        const STATISTICS: &'static [&'static str] = &["reconciliation_id", "checked_at"];

        fn key(&self) -> Key {
            Key::new(&self.reconciliation_id)
        }
    }
}
