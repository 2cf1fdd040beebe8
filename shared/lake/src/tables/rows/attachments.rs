//! `xact_attachments`: one row for every file in OneLake.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::tables::rows::columns::table_row;
use crate::tables::rows::row::Key;

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
