//! Failures of the connection: what they mean, and which requests are sent again at once.

use std::error::Error;
use std::io;

use crate::resolver::{PrivateAddressError, ResolveError};
use xact_contracts::category::Category;
use xact_contracts::error_cause::innermost;
use xact_contracts::messages::Problem;

/// Why a request without a response is sent again at once, on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The connection was closed before the response.
    Closed,
    /// The response has a line that is not a header.
    Malformed,
}

impl Repeat {
    /// Returns the name in logs and in the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Malformed => "malformed",
        }
    }

    /// Returns the reason in an error, if the request may be sent again.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        if error.is_timeout() || error.is_connect() {
            return None;
        }
        if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
            return Some(Self::Malformed);
        }
        let is_closed = cause::<hyper::Error>(error)
            .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed());
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        // A TLS connection that is closed without close_notify reports an unexpected end of file.
        let resets = [ConnectionReset, ConnectionAborted, BrokenPipe, UnexpectedEof];
        let is_reset = cause::<io::Error>(error).is_some_and(|error| resets.contains(&error.kind()));
        (is_closed || is_reset).then_some(Self::Closed)
    }
}

/// Returns the failure of a request without a response.
pub(super) fn request_problem(error: &reqwest::Error) -> Problem {
    if let Some(private) = cause::<PrivateAddressError>(error) {
        return Problem::new(Category::Permanent, private.to_string());
    }
    if let Some(unresolved) = cause::<ResolveError>(error) {
        return Problem::new(Category::Transient, unresolved.to_string());
    }
    let what = if error.is_timeout() {
        "the request timed out"
    } else if error.is_connect() {
        "the connection failed"
    } else {
        "the request failed"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error)))
}

/// Returns the failure of a response whose body did not arrive whole.
pub(super) fn body_problem(error: &reqwest::Error) -> Problem {
    let what = if error.is_timeout() {
        "the body timed out"
    } else {
        "the body ended early"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error))).with_status(200)
}

/// Returns the first cause of this type.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    std::iter::successors(error.source(), |&cause| cause.source()).find_map(|cause| cause.downcast_ref())
}
