//! The life of an event, as it is answered. Texts are redacted.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use xact_contracts::category::Category;
use xact_contracts::messages::SourceRecord;
use xact_contracts::time;

/// An event, its row, and its attachments.
#[derive(Debug, Clone, Serialize)]
pub struct EventLife {
    /// Its id in all stages.
    pub trace_id: String,
    /// The key of its row.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: Option<String>,
    /// Its assignment.
    pub assignment_id: Option<String>,
    /// Its claim.
    pub claim_number: Option<String>,
    /// Its own timestamp, or that of its record if it has none.
    #[serde(with = "time::optional")]
    pub event_timestamp: Option<Timestamp>,
    /// Its records on the raw topic. Empty: the topic no longer has it, or was not read.
    pub received: Vec<SourceRecord>,
    /// Its row.
    pub row: EventRowLife,
    /// Its attachments, in the order of the event.
    pub attachments: Vec<AttachmentLife>,
    /// Dead letters of a message that no attachment is known of.
    pub dead_letters: Vec<AttachmentLife>,
    /// The distributed traces that its records belong to.
    pub traces: Vec<TraceLink>,
    /// What is remarkable about it.
    pub notes: Vec<String>,
}

impl EventLife {
    /// Returns whether everything is done, or on its way.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        let is_well =
            |state: AttachmentState| matches!(state, AttachmentState::Completed | AttachmentState::InProgress);
        let mut attachments = self.attachments.iter().chain(&self.dead_letters);
        attachments.all(|attachment| is_well(attachment.state))
            && matches!(
                self.row.state,
                RowState::Written | RowState::Waiting | RowState::Disabled
            )
    }
}

/// The row of an event in `xact_events`.
#[derive(Debug, Clone, Serialize)]
pub struct EventRowLife {
    /// Whether it is there.
    pub state: RowState,
    /// Where it is.
    #[serde(flatten)]
    pub row: Option<RowPlace>,
    /// When it was written.
    #[serde(with = "time::optional")]
    pub ingested_at: Option<Timestamp>,
    /// What happens next.
    pub next: Next,
}

/// Whether the row of an event is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RowState {
    /// It is.
    Written,
    /// The event writer has not reached the event.
    Waiting,
    /// No table is written.
    Disabled,
    /// It is not, although the event writer has finished the event.
    Lost,
    /// It cannot be decided.
    Unknown,
}

/// The place of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowPlace {
    /// The table.
    pub table: &'static str,
    /// Its partition.
    pub event_date: Date,
    /// The version of the table in which the row was found; it may be older.
    pub table_version: u64,
}

/// An attachment, or a dead letter.
#[derive(Debug, Clone, Serialize)]
pub struct AttachmentLife {
    /// Its id; `None` if only the event's row names it.
    pub media_id: Option<Uuid>,
    /// Its URL without query.
    pub attachment_url: Option<String>,
    /// Whether it is what was looked for.
    pub asked_for: bool,
    /// Where it is.
    pub state: AttachmentState,
    /// Its path below the place of the files.
    pub blob_path: Option<String>,
    /// The address of its file, once it is uploaded.
    pub file: Option<String>,
    /// The size of its file.
    pub bytes: Option<u64>,
    /// The hash of its file.
    pub sha256: Option<String>,
    /// What happened, by time.
    pub steps: Vec<Step>,
    /// What happens next.
    pub next: Next,
}

/// Where an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AttachmentState {
    /// In OneLake, with its row as far as it is known.
    Completed,
    /// In a record that its stage has not finished.
    InProgress,
    /// In a dead letter that waits to be replayed or resolved.
    DeadLetter,
    /// Failed, and no dead letter waits.
    Failed,
    /// Nowhere.
    Lost,
    /// It cannot be decided.
    Unknown,
}

/// What happens next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Next {
    /// As a sentence.
    pub text: String,
    /// When.
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The command to run, if something has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Next {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    pub(super) fn with_command(self, command: String) -> Self {
        Self {
            command: Some(command),
            ..self
        }
    }
}

/// What happened to an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StepKind {
    /// A task on the pending topic: an attempt begins.
    Task,
    /// An attempt failed, and another one follows.
    AttemptFailed,
    /// The task waits on a retry topic.
    Retry,
    /// The file was downloaded into the cache.
    Cached,
    /// The file was uploaded.
    Uploaded,
    /// The last attempt failed.
    Failed,
    /// A dead letter was written.
    DeadLetter,
    /// The dead letter was replayed.
    Replayed,
    /// The dead letter was resolved.
    Resolved,
    /// A row was written.
    Row,
}

/// A step of an attachment. Fields that a step does not have are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What happened.
    pub step: StepKind,
    /// When.
    #[serde(with = "time::optional")]
    pub at: Option<Timestamp>,
    /// The record that tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<SourceRecord>,
    /// Whether the stage that reads the record has finished it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
    /// Number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Number of the replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<u32>,
    /// When a retry is due.
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Category of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_category: Option<Category>,
    /// The failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Size of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Hash of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Path of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob_path: Option<String>,
    /// The dead letter, `PARTITION:OFFSET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// The row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<RowPlace>,
}

impl Step {
    /// Returns a step without details.
    #[must_use]
    pub fn at(step: StepKind, at: Option<Timestamp>) -> Self {
        Self {
            step,
            at,
            record: None,
            finished: None,
            attempt: None,
            replay: None,
            due_at: None,
            error_category: None,
            reason: None,
            http_status: None,
            bytes: None,
            sha256: None,
            blob_path: None,
            dead_letter: None,
            row: None,
        }
    }
}

/// A distributed trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceLink {
    /// The W3C trace id.
    pub id: String,
    /// Its address, by `TRACE_URL_TEMPLATE`.
    pub url: Option<String>,
}
