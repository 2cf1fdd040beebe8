//! What each answer and each error means: its category, and a text without the URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::FetchError;
use super::service_error::ServiceError;
use crate::resolver::{NoAddress, RefusedAddress};
use crate::{not_yet, retry_after};
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_contracts::presigned::{self, PresignedKind};

/// The value of a header that is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The table of the specification, section 4.
const fn category_of(status: u16) -> Category {
    match status {
        401 | 407 => Category::Auth,
        408 | 425 | 429 | 500..=599 => Category::Transient,
        400..=499 => Category::Permanent,
        _ => Category::Unknown,
    }
}

/// An answer that is neither the file nor a redirect. `url` is the one that was asked, `first` the event's.
pub(super) async fn refused_status(response: Response, url: &Url, first: &Url, timeout: Duration) -> FetchError {
    let (status, now) = (response.status(), Timestamp::now());
    let asked_to_wait =
        header(response.headers(), RETRY_AFTER.as_str()).and_then(|value| retry_after::parse(value, now));
    let said = ServiceError::read(response, timeout).await;
    let mut category = category_of(status.as_u16());
    let mut retry_after = None;
    let mut text = format!("the server answered {status}{}", said.explanation());
    if category == Category::Permanent && said.means_try_again() {
        category = Category::Transient;
    } else if status == StatusCode::FORBIDDEN
        && let Some(at) = begins_about_now(url, now, &said)
    {
        category = Category::Transient;
        retry_after = not_yet::wait_until(at, now);
        text.push_str(&format!(
            ": the URL is valid from {} on, and may not be so yet",
            xact_contracts::time::format(at)
        ));
    } else if category == Category::Permanent && url.host_str() != first.host_str() && presigned::expiry(url).is_some()
    {
        text.push_str("; this was after a redirect to another host, where a signature does not hold");
    }
    if category.is_retryable() {
        retry_after = retry_after.or(asked_to_wait);
    }
    FetchError::Refused {
        problem: Problem::new(category, text).with_status(status.as_u16()),
        retry_after,
    }
}

/// When the URL becomes valid, if this may be why it is refused at `now`. Azure refuses for it whatever is early by its clock.
/// S3 takes what is signed up to 15 minutes ahead; most of its URLs are signed shortly before they come here, so that the time
/// alone says nothing: S3 must say it, or the time still be ahead.
fn begins_about_now(url: &Url, now: Timestamp, said: &ServiceError) -> Option<Timestamp> {
    let start = presigned::start(url)?;
    let is_likely = match start.kind {
        PresignedKind::S3 => start.at > now,
        PresignedKind::AzureSas | PresignedKind::ClaimX => start.may_be_ahead(now),
    };
    let is_likely = said.is_not_valid_yet || is_likely && said.may_be_about_time();
    let is_over = presigned::expiry(url).is_some_and(|expiry| expiry.is_expired(now));
    (is_likely && !is_over).then_some(start.at)
}

/// A redirect that leads nowhere, or that no URL can be read from: the same request gets the same answer.
pub(super) async fn redirect_without_location(response: Response, timeout: Duration) -> Problem {
    let status = response.status();
    let said = ServiceError::read(response, timeout).await;
    let text = format!("redirect {status} without a Location{}", said.explanation());
    Problem::new(Category::Permanent, text).with_status(status.as_u16())
}

/// Why a request that got no answer is asked once more at once, on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The connection was closed before the answer.
    Closed,
    /// The answer has a line that is not a header.
    Malformed,
}

impl Repeat {
    /// The name in logs and in the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Malformed => "malformed",
        }
    }

    /// Whether `error` is such a reason.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        if error.is_timeout() || error.is_connect() {
            return None;
        }
        if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
            return Some(Self::Malformed);
        }
        let is_closed = cause::<hyper::Error>(error)
            .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed());
        // A TLS connection that ends without its own end is an unexpected end of file.
        let is_reset = cause::<io::Error>(error).is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            )
        });
        (is_closed || is_reset).then_some(Self::Closed)
    }
}

pub(super) fn request_problem(error: &reqwest::Error) -> Problem {
    if let Some(refused) = cause::<RefusedAddress>(error) {
        return Problem::new(Category::Permanent, refused.to_string());
    }
    if let Some(unknown) = cause::<NoAddress>(error) {
        return Problem::new(Category::Transient, unknown.to_string());
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the request failed"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error)))
}

pub(super) fn body_problem(error: &reqwest::Error) -> Problem {
    let what = if error.is_timeout() {
        "the body stopped coming"
    } else {
        "the body was cut short"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error))).with_status(200)
}

/// The cause at the bottom: the layers above it only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_specification() {
        for (status, category) in [
            (400, Category::Permanent),
            (401, Category::Auth),
            (403, Category::Permanent),
            (404, Category::Permanent),
            (407, Category::Auth),
            (408, Category::Transient),
            (410, Category::Permanent),
            (425, Category::Transient),
            (429, Category::Transient),
            (500, Category::Transient),
            (503, Category::Transient),
            (599, Category::Transient),
            (204, Category::Unknown),
            (206, Category::Unknown),
            (304, Category::Unknown),
            (600, Category::Unknown),
        ] {
            assert_eq!(category_of(status), category, "{status}");
        }
    }
}
