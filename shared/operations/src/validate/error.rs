//! Why an event cannot be sent or followed.

use crate::delivery::SendError;
use xact_kafka::ProducerError;
use xact_lake::OpenFilesError;
use xact_table_sink::OpenTableError;

/// Reasons why an event cannot be sent or followed.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The settings write no tables.
    #[error("ENABLE_DELTA_WRITES=false: without its rows an event cannot be followed")]
    NoTables,
    /// The settings allow no host.
    #[error("ALLOWED_ATTACHMENT_DOMAINS is empty")]
    NoHosts,
    /// There is no attachment to send.
    #[error(
        "pass --attachment URL: a file that the pipeline may download (`xact-pipeline explain URL` shows whether it may)"
    )]
    NoAttachment,
    /// The rules refuse the attachment.
    #[error("{url}: {reason}")]
    Refused {
        /// The URL, without its secrets.
        url: String,
        /// The reason.
        reason: String,
    },
    /// A table cannot be opened.
    #[error(transparent)]
    Table(#[from] OpenTableError),
    /// The files cannot be opened.
    #[error(transparent)]
    Files(#[from] OpenFilesError),
    /// The producer cannot be created.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The broker did not acknowledge the event.
    #[error(transparent)]
    Send(#[from] SendError),
}
