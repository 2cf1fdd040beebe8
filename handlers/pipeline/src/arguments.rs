//! Arguments that several commands share.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::outcome::CommandError;
use crate::ui;
use xact_contracts::time;

/// The format of an answer.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Output {
    /// Prints an answer: as JSON, or with `as_text`.
    pub(crate) fn print<T: Serialize>(self, answer: &T, as_text: impl FnOnce(&T)) -> Result<(), CommandError> {
        if self.json {
            ui::json(answer)?;
        } else {
            as_text(answer);
        }
        Ok(())
    }
}

/// Parses a point in time: RFC 3339, without a zone in UTC, or a date.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    time::parse_text(text).ok_or_else(|| "give a time such as 2025-01-31T08:00:00Z, or a date".to_owned())
}
