//! `xact_attachments_failed`: one row for every final failure.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::tables::rows::columns::table_row;
use crate::tables::rows::row::Key;

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
