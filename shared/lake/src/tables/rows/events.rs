//! `xact_events`: one row for every readable event.

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
