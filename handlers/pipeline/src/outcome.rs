//! The result of a command, and the exit code that reports it.

use std::error::Error;
use std::process::ExitCode;

use crate::ui;

/// The exit code of [`ExitStatus::No`].
pub(crate) const EXIT_NO: u8 = 1;
/// The exit code of [`ExitStatus::NotFound`].
const EXIT_NOT_FOUND: u8 = 3;
/// The exit code of an error: bad usage, bad configuration, no broker.
const EXIT_ERROR: u8 = 2;

/// Any error of a command; its text is what the operator reads.
pub(crate) type CommandError = Box<dyn Error + Send + Sync>;

/// What a command returns.
pub(crate) type CommandResult = Result<ExitStatus, CommandError>;

/// Whether everything is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Ok,
    /// The command was carried out and found something wrong.
    No,
    /// The command was carried out, and what it looked for does not exist.
    NotFound,
}

impl From<bool> for ExitStatus {
    fn from(is_good: bool) -> Self {
        if is_good { Self::Ok } else { Self::No }
    }
}

impl ExitStatus {
    /// Returns the code to exit with: 0, 1 or 3.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => EXIT_NO,
            Self::NotFound => EXIT_NOT_FOUND,
        }
    }
}

/// Returns the exit code of a finished command and prints its error.
pub(crate) fn exit_code(result: CommandResult) -> ExitCode {
    match result {
        Ok(status) => status.code().into(),
        Err(error) => {
            ui::error_line(format_args!("xact-pipeline: {error}"));
            EXIT_ERROR.into()
        }
    }
}
