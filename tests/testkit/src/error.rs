//! Errors of the testkit; each message says what to do next.

use std::{fmt, io, time::Duration};

/// Result of the functions of the testkit.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the testkit. `Debug` prints the same text as `Display`, because `unwrap` and
/// `fn test() -> Result<(), Error>` print `Debug`, and log lines are unreadable with escaped line breaks.
#[derive(thiserror::Error)]
pub enum Error {
    /// A program that the tests need is not installed.
    #[error("`{program}` is not on PATH; get it with: {remedy}")]
    Missing {
        /// Name of the program.
        program: &'static str,
        /// A command that installs it.
        remedy: &'static str,
    },
    /// An operation of the operating system failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation, as in "cannot …".
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A program failed, or returned an invalid result.
    #[error("{what}\n{detail}")]
    Failed {
        /// What failed.
        what: String,
        /// Its output, or the reason.
        detail: String,
    },
    /// Something did not happen in time.
    #[error("not so after {after:?}: {what}")]
    Timeout {
        /// The condition.
        what: String,
        /// The time limit.
        after: Duration,
    },
    /// The operation requires a broker that the test has started, but `KAFKA_BOOTSTRAP_SERVERS` names another one.
    #[error(
        "cannot {what} the external broker {bootstrap}: unset KAFKA_BOOTSTRAP_SERVERS to let the test start its own"
    )]
    External {
        /// The operation.
        what: &'static str,
        /// Address of the broker.
        bootstrap: String,
    },
}

impl Error {
    /// Returns a conversion for `map_err` that adds the operation, as in "cannot …", to an I/O error.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

/// Returns a conversion for `map_err` that adds to an error what failed.
pub fn context<E: fmt::Display>(what: impl Into<String>) -> impl Fn(E) -> Error {
    let what = what.into();
    move |error| failed(what.clone(), error.to_string())
}

/// Returns a failure with its explanation.
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
