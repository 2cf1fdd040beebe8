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

/// Whether a command does what it shows.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Execute {
    /// Apply the change; without it this is a dry run
    #[arg(long, visible_alias = "yes")]
    execute: bool,
}

impl Execute {
    pub(crate) const fn is_given(self) -> bool {
        self.execute
    }

    /// Prints a plan as JSON, with `executed` in addition.
    pub(crate) fn print_json(self, plan: &impl Serialize) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Executed<'a, T> {
            #[serde(flatten)]
            plan: &'a T,
            executed: bool,
        }
        let executed = self.execute;
        Ok(ui::json(&Executed { plan, executed })?)
    }
}

/// Parses a point in time: RFC 3339, without a zone in UTC, or a date.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    time::parse_text(text).ok_or_else(|| "give a time such as 2025-01-31T08:00:00Z, or a date".to_owned())
}
