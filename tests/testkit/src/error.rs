//! What can go wrong while a test is being set up, said so that the reader knows what to do next.

use std::{fmt, io, time::Duration};

/// What most of the testkit returns.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the testkit. `Debug` prints the same text as `Display`, because `unwrap` and
/// `fn test() -> Result<(), Error>` print `Debug`, and log lines are unreadable with escaped line breaks.
#[derive(thiserror::Error)]
pub enum Error {
    /// A program that the tests need is not installed.
    #[error("`{program}` is not on PATH; get it with: {remedy}")]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// A command that installs it.
        remedy: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, as in "cannot …".
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and failed, or answered nonsense.
    #[error("{what}\n{detail}")]
    Failed {
        /// What failed.
        what: String,
        /// Its output, or what was wrong with it.
        detail: String,
    },
    /// Something did not happen in time.
    #[error("not so after {after:?}: {what}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// `KAFKA_BOOTSTRAP_SERVERS` names a broker that belongs to somebody else.
    #[error(
        "cannot {what} the external broker {bootstrap}: unset KAFKA_BOOTSTRAP_SERVERS to let the test start its own"
    )]
    External {
        /// What was asked of the broker.
        what: &'static str,
        /// Where the broker is.
        bootstrap: String,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was tried, as in "cannot …".
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

/// A failure with its explanation: its text tells the reader what to do next.
#[must_use]
pub fn failed(what: impl Into<String>, detail: impl Into<String>) -> Error {
    Error::Failed {
        what: what.into(),
        detail: detail.into(),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
