//! What each status other than 200 means: its category, and a text without the URL.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::error::FetchError;
use super::service_error::ServiceError;
use crate::{not_yet, retry_after};
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_contracts::presigned::{self, PresignedKind};
use xact_contracts::time;

/// Returns the value of a header if it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the category of a status: the table of failures in `shared/contracts/SPECIFICATION.md`.
const fn category_of(status: u16) -> Category {
    match status {
        401 | 407 => Category::Auth,
        408 | 425 | 429 | 500..=599 => Category::Transient,
        400..=499 => Category::Permanent,
        _ => Category::Unknown,
    }
}

/// Returns the failure of a response that is neither the file nor a redirect. `url` is the requested one, `first` the event's.
pub(super) async fn status_failure(response: Response, url: &Url, first: &Url, timeout: Duration) -> FetchError {
    let (status, now) = (response.status(), Timestamp::now());
    let requested_wait =
        header(response.headers(), RETRY_AFTER.as_str()).and_then(|value| retry_after::parse(value, now));
    let error = ServiceError::read(response, timeout).await;
    let mut category = category_of(status.as_u16());
    let mut retry_after = None;
    let mut text = format!("the server answered {status}{}", error.explanation());
    if category == Category::Permanent && error.is_retryable() {
        category = Category::Transient;
    } else if status == StatusCode::FORBIDDEN
        && let Some(at) = start_if_not_valid_yet(url, now, &error)
    {
        category = Category::Transient;
        retry_after = not_yet::wait_until(at, now);
        text.push_str(&format!(
            ": the URL is valid from {} on, and may not be valid yet",
            time::format(at)
        ));
    } else if category == Category::Permanent && url.host_str() != first.host_str() && presigned::expiry(url).is_some()
    {
        text.push_str("; this was after a redirect to another host, for which a signature is not valid");
    }
    if category.is_retryable() {
        retry_after = retry_after.or(requested_wait);
    }
    FetchError::Failed {
        problem: Problem::new(category, text).with_status(status.as_u16()),
        retry_after,
    }
}

/// Returns when the URL becomes valid, if that may be the reason for a 403 at `now`.
///
/// Azure rejects every URL that is early by its clock. S3 accepts URLs signed up to 15 minutes ahead, and most are signed
/// shortly before they arrive here, so a recent start alone is not evidence: either S3 names the reason, or the start must
/// still be ahead.
fn start_if_not_valid_yet(url: &Url, now: Timestamp, error: &ServiceError) -> Option<Timestamp> {
    let start = presigned::start(url)?;
    let is_likely = match start.kind {
        PresignedKind::S3 => start.at > now,
        PresignedKind::AzureSas | PresignedKind::ClaimX => start.may_be_ahead(now),
    };
    let is_likely = error.is_not_valid_yet || is_likely && error.is_only_denied();
    let has_expired = presigned::expiry(url).is_some_and(|expiry| expiry.is_expired(now));
    (is_likely && !has_expired).then_some(start.at)
}

/// Returns the failure of a redirect without a readable target. A retry would get the same response.
pub(super) async fn redirect_without_location(response: Response, timeout: Duration) -> Problem {
    let status = response.status();
    let error = ServiceError::read(response, timeout).await;
    let text = format!("redirect {status} without a Location{}", error.explanation());
    Problem::new(Category::Permanent, text).with_status(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_category() {
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
