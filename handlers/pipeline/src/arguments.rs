//! Arguments that several commands share.

use clap::Args;
use serde::Serialize;

use crate::outcome::CommandError;
use crate::ui;

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

/// Whether a command does what it shows, and in which format.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Change {
    /// Apply the change; without it this is a dry run
    #[arg(long, visible_alias = "yes")]
    pub(crate) execute: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl Change {
    /// Prints what was done: a plan as JSON, with `executed` in addition, or a line of text.
    pub(crate) fn print(self, plan: &impl Serialize, done: &str) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Executed<'a, T> {
            #[serde(flatten)]
            plan: &'a T,
            executed: bool,
        }
        let executed = self.execute;
        self.output.print(&Executed { plan, executed }, |_| {
            ui::line(if executed {
                done
            } else {
                "dry run; pass --execute to apply"
            });
        })
    }
}
