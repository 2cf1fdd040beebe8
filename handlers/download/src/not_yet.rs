//! A presigned URL that is not valid yet is waited for: asked before its time, the service refuses it for good.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::Download;
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_contracts::presigned;
use xact_contracts::time;
use xact_runtime::{Failure, Outcome};

/// Waits up to this long are made in place: some URLs live for a minute, less than the first retry topic's delay.
const MAX_HOLD: SignedDuration = SignedDuration::from_secs(60);

/// Longest wait. What begins later comes of a clock that is wrong by days, and would outlast the topics' retention.
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(24);

/// Added to the start, for the service's clock.
const ALLOWANCE: SignedDuration = SignedDuration::from_secs(2);

/// What becomes of a task whose URL is not valid yet: held, sent to a retry topic whose delay is long enough, or failed, if it
/// is never valid. `None` when the URL can be asked for.
pub(crate) fn check(url: &Url, now: Timestamp) -> Option<Result<Outcome<Download>, Failure>> {
    let start = presigned::start(url).filter(|start| start.is_ahead(now))?;
    let begins = format!(
        "the presigned URL ({}) is valid from {} on",
        start.kind.as_str(),
        time::format(start.at)
    );
    let ends = presigned::expiry(url).map(|expiry| expiry.expires_at);
    if let Some(ends) = ends.filter(|ends| *ends <= start.at) {
        let text = format!("{begins}, and expires before, at {}", time::format(ends));
        return Some(Err(Failure::message(Category::Permanent, text)));
    }
    let wait = start.at.duration_since(now);
    if wait > MAX_WAIT {
        let text = format!("{begins}, in more than 24 hours: the signer's clock must be wrong");
        return Some(Err(Failure::message(Category::Permanent, text)));
    }
    if wait <= MAX_HOLD {
        return Some(Ok(Outcome::NotBefore(due(start.at))));
    }
    Some(Err(Failure::Message {
        problem: Problem::new(Category::Transient, format!("{begins}: it is waited for")),
        retry_after: wait_until(start.at, now),
    }))
}

/// How long to wait for what begins at `start`; `None` if it has begun.
pub(crate) fn wait_until(start: Timestamp, now: Timestamp) -> Option<Duration> {
    let wait = due(start).duration_since(now);
    Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
}

fn due(start: Timestamp) -> Timestamp {
    start.checked_add(ALLOWANCE).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-03-02T{time}Z").parse().unwrap()
    }

    /// What becomes of it at 12:00:00.
    fn checked(query: &str) -> String {
        let url = Url::parse(&format!("https://h/a.pdf?{query}")).unwrap();
        match check(&url, at("12:00:00")) {
            None => "asked".to_owned(),
            Some(Ok(Outcome::NotBefore(due))) => format!("held until {}", due.strftime("%T")),
            Some(Ok(Outcome::Emit(_))) => panic!("nothing is emitted"),
            Some(Err(Failure::Message { problem, retry_after })) => {
                assert!(
                    problem.message().contains("is valid from 2026-0"),
                    "{}",
                    problem.message()
                );
                format!("{} {:?}", problem.category, retry_after.map(|wait| wait.as_secs()))
            }
            Some(Err(Failure::Unavailable(unavailable))) => panic!("{unavailable}"),
        }
    }

    #[test]
    fn what_is_not_valid_yet_is_waited_for_if_it_ever_will_be() {
        for (query, expected) in [
            ("st=2026-03-02T11:59:59Z&se=2026-03-02T13:00:00Z&sig=a", "asked"),
            ("st=2026-03-02T12:00:00Z&se=2026-03-02T13:00:00Z&sig=a", "asked"),
            (
                "st=2026-03-02T12:00:01Z&se=2026-03-02T13:00:00Z&sig=a",
                "held until 12:00:03",
            ),
            (
                "st=2026-03-02T12:01:00Z&se=2026-03-02T13:00:00Z&sig=a",
                "held until 12:01:02",
            ),
            (
                "st=2026-03-02T12:01:01Z&se=2026-03-02T13:00:00Z&sig=a",
                "transient Some(63)",
            ),
            ("st=2026-03-02T12:01:01Z&sig=a", "transient Some(63)"),
            ("st=2026-03-03T12:00:00Z&se=2026-03-04&sig=a", "transient Some(86402)"),
            ("st=2026-03-03T12:00:01Z&se=2026-03-04&sig=a", "permanent None"),
            ("st=2026-09-03&se=2027-03-04&sig=a", "permanent None"),
            (
                "st=2026-03-02T12:10:00Z&se=2026-03-02T12:05:00Z&sig=a",
                "permanent None",
            ),
            (
                "st=2026-03-02T12:10:00Z&se=2026-03-02T12:10:00Z&sig=a",
                "permanent None",
            ),
            // S3 takes what is signed within 15 minutes ahead.
            ("X-Amz-Date=20260302T121500Z&X-Amz-Expires=60", "asked"),
            ("X-Amz-Date=20260302T121501Z&X-Amz-Expires=60", "transient Some(903)"),
            ("X-Amz-Date=20260302T121501Z&X-Amz-Expires=0", "permanent None"),
            ("X-Amz-Date=20260602T121501Z&X-Amz-Expires=60", "permanent None"),
            ("systemDate=1900000000000&expires=1", "asked"),
            ("st=never&sig=a", "asked"),
            ("", "asked"),
        ] {
            assert_eq!(checked(query), expected, "{query}");
        }
    }
}
