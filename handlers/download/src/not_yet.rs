//! Presigned URLs that are not valid yet: the task waits, because a request before that time would fail permanently.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_contracts::presigned;
use xact_contracts::time;
use xact_runtime::Failure;

/// Longest wait in place, without a retry topic. Some URLs are valid for a minute only, less than the first retry delay.
const MAX_IN_PLACE_DELAY: SignedDuration = SignedDuration::from_secs(60);

/// Longest wait. A later start comes from a clock that is wrong by days, and would exceed the topics' retention.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// Added to the start for differences between our clock and the service's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Returns until when the task has to wait in place; `None` if the URL can be requested.
///
/// # Errors
/// When the wait is too long for that, so that the task goes to a retry topic; or when the URL never becomes valid.
pub(crate) fn wait_in_place(url: &Url, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let Some(start) = presigned::start(url).filter(|start| start.is_ahead(now)) else {
        return Ok(None);
    };
    let (kind, at) = (start.kind.as_str(), time::format(start.at));
    let validity = format!("the presigned URL ({kind}) is valid from {at} on");
    let ends = presigned::expiry(url).map(|expiry| expiry.expires_at);
    if let Some(ends) = ends.filter(|ends| *ends <= start.at) {
        let text = format!("{validity}, and expires before, at {}", time::format(ends));
        return Err(Failure::message(Category::Permanent, text));
    }
    let wait = start.at.duration_since(now);
    if wait > MAX_DELAY {
        let text = format!("{validity}, in more than 24 hours: the signer's clock must be wrong");
        return Err(Failure::message(Category::Permanent, text));
    }
    if wait <= MAX_IN_PLACE_DELAY {
        return Ok(Some(due(start.at)));
    }
    Err(Failure::Message {
        problem: Problem::new(Category::Transient, format!("{validity}: the task waits until then")),
        retry_after: wait_until(start.at, now),
    })
}

/// Returns how long to wait for `start`; `None` if it has passed.
pub(crate) fn wait_until(start: Timestamp, now: Timestamp) -> Option<Duration> {
    let wait = due(start).duration_since(now);
    Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
}

fn due(start: Timestamp) -> Timestamp {
    start.checked_add(CLOCK_TOLERANCE).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome at 12:00:00.
    fn checked(query: &str) -> String {
        let url = Url::parse(&format!("https://h/a.pdf?{query}")).unwrap();
        match wait_in_place(&url, "2026-03-02T12:00:00Z".parse().unwrap()) {
            Ok(None) => "requested".to_owned(),
            Ok(Some(due)) => format!("waits until {}", due.strftime("%T")),
            Err(Failure::Message { problem, retry_after }) => {
                let text = problem.message();
                assert!(text.contains("is valid from 2026-0"), "{text}");
                format!("{} {:?}", problem.category, retry_after.map(|wait| wait.as_secs()))
            }
            Err(Failure::Unavailable(unavailable)) => panic!("{unavailable}"),
        }
    }

    #[test]
    fn a_url_that_is_not_valid_yet_waits_unless_it_never_becomes_valid() {
        for (query, expected) in [
            ("st=2026-03-02T11:59:59Z&se=2026-03-03&sig=a", "requested"),
            ("st=2026-03-02T12:00:00Z&se=2026-03-03&sig=a", "requested"),
            ("st=2026-03-02T12:00:01Z&se=2026-03-03&sig=a", "waits until 12:00:03"),
            ("st=2026-03-02T12:01:00Z&se=2026-03-03&sig=a", "waits until 12:01:02"),
            ("st=2026-03-02T12:01:01Z&se=2026-03-03&sig=a", "transient Some(63)"),
            ("st=2026-03-02T12:01:01Z&sig=a", "transient Some(63)"),
            ("st=2026-03-03T12:00:00Z&se=2026-03-04&sig=a", "transient Some(86402)"),
            ("st=2026-03-03T12:00:01Z&se=2026-03-04&sig=a", "permanent None"),
            ("st=2026-09-03&se=2027-03-04&sig=a", "permanent None"),
            ("st=2026-03-02T12:10Z&se=2026-03-02T12:05Z&sig=a", "permanent None"),
            ("st=2026-03-02T12:10Z&se=2026-03-02T12:10Z&sig=a", "permanent None"),
            // S3 accepts URLs signed up to 15 minutes ahead.
            ("X-Amz-Date=20260302T121500Z&X-Amz-Expires=60", "requested"),
            ("X-Amz-Date=20260302T121501Z&X-Amz-Expires=60", "transient Some(903)"),
            ("X-Amz-Date=20260302T121501Z&X-Amz-Expires=0", "permanent None"),
            ("X-Amz-Date=20260602T121501Z&X-Amz-Expires=60", "permanent None"),
            ("systemDate=1900000000000&expires=1", "requested"),
            ("st=never&sig=a", "requested"),
            ("", "requested"),
        ] {
            assert_eq!(checked(query), expected, "{query}");
        }
    }
}
