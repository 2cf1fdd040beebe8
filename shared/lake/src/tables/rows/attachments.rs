//! `xact_attachments`: one row for every file that arrived in OneLake.

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
        /// What the content is: its extension in upper case, as the URL spells it where that is the same kind.
        pub file_type: Option<String>,
        /// Last part of the event's type.
        pub status_subtype: Option<String>,
        /// The assignment that it belongs to.
        pub assignment_id: Option<String>,
        /// The registered media type where the content proves the kind, else as the source declared it.
        pub content_type: Option<String>,
        /// As the source declared it, if that is something else than the content.
        pub declared_content_type: Option<String>,
        /// Of the content, in hex.
        pub sha256: Option<String>,
        /// Size of the file.
        pub bytes_downloaded: Option<i64>,
        /// How often the download was tried again.
        pub retry_count: Option<i32>,
        /// When the download was finished.
        pub downloaded_at: Option<Timestamp>,
        /// When the result was made.
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
