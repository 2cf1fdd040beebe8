//! Why an operation on dead letters fails.

use super::entry_id::EntryId;
use crate::delivery::SendError;
use xact_kafka::ProducerError;
use xact_kafka::admin::{AdminError, TombstoneError};

/// Reasons why an operation on dead letters fails.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The topic cannot be read.
    #[error(transparent)]
    Read(#[from] AdminError),
    /// A client cannot be created.
    #[error(transparent)]
    Client(#[from] ProducerError),
    /// A replayed message was not acknowledged.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A mark was not acknowledged.
    #[error(transparent)]
    Mark(#[from] TombstoneError),
    /// There is no such entry.
    #[error(
        "no dead letter at {id} in {topic}: never written, no longer retained, or the mark of another entry. `dlq list --all` shows all entries"
    )]
    NoEntry {
        /// The entry.
        id: EntryId,
        /// The dead-letter topic.
        topic: String,
    },
    /// An entry of a plan is refused when the plan is executed: the settings have changed since.
    #[error("{id} can no longer be replayed ({reason}): make the plan again. Entries settled so far stay settled")]
    PlanOutdated {
        /// The entry.
        id: EntryId,
        /// Why it is refused; redacted.
        reason: String,
    },
    /// A settlement without entries or filters.
    #[error("no entries selected: name them (PARTITION:OFFSET), pass filters, or pass --everything")]
    NothingSelected,
    /// The original message cannot be restored.
    #[error("the original message cannot be decoded: {0}")]
    Damaged(String),
    /// The entry has no original message.
    #[error("this dead letter contains neither a task nor a message")]
    NoOriginal,
}
