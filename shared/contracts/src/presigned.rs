//! When a presigned URL begins and stops to work: read from its query, so that no request is wasted on it.
//!
//! A value that makes no sense gives `None`: the server is then the one to judge the URL.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::time;

/// Who signed a URL, and thereby how its expiry is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresignedKind {
    /// Amazon S3: `X-Amz-Date` + `X-Amz-Expires` ([Signature Version 4][v4]), or `Expires` in Unix
    /// seconds beside `AWSAccessKeyId` and `Signature` ([Version 2][v2]).
    ///
    /// [v4]: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    /// [v2]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
    S3,
    /// Azure Storage [shared access signature](https://learn.microsoft.com/rest/api/storageservices/create-service-sas): `se` beside `sig`.
    AzureSas,
    /// ClaimX: `systemDate` in Unix milliseconds + `expires` in milliseconds.
    ClaimX,
}

impl PresignedKind {
    /// The name that operators know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::AzureSas => "Azure SAS",
            Self::ClaimX => "ClaimX",
        }
    }
}

/// The end of a presigned URL's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Who signed it.
    pub kind: PresignedKind,
    /// The first instant at which it no longer works.
    pub expires_at: Timestamp,
}

impl Expiry {
    /// Whether the URL has stopped working at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

/// The start of a presigned URL's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Who signed it.
    pub kind: PresignedKind,
    /// The first instant at which it works.
    pub at: Timestamp,
}

/// How far two clocks are apart at most: S3 accepts requests that are signed so far ahead of its clock (beyond, it answers
/// `RequestTimeTooSkewed` or "Request is not valid yet"), and Microsoft's guide to shared access signatures counts on so much.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);

impl Start {
    /// Whether the service is sure to refuse the URL at `now`: S3 takes one that begins within [`CLOCK_SKEW`], Azure none.
    #[must_use]
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        let tolerated = match self.kind {
            PresignedKind::S3 => CLOCK_SKEW,
            PresignedKind::AzureSas | PresignedKind::ClaimX => SignedDuration::ZERO,
        };
        self.at.duration_since(now) > tolerated
    }

    /// Whether the service may refuse it at `now` as not valid yet, since its clock is behind ours.
    #[must_use]
    pub fn may_be_ahead(&self, now: Timestamp) -> bool {
        self.at.duration_since(now) > -CLOCK_SKEW
    }
}

/// When `url` begins to work; `None` if it says nothing about that, or nothing that can be read.
#[must_use]
pub fn start(url: &Url) -> Option<Start> {
    let query = Query::read(url);
    let s3 = || Some((PresignedKind::S3, s3_signed_at(&query)?));
    let azure = || Some((PresignedKind::AzureSas, azure_time(&query, "st")?));
    let (kind, at) = s3().or_else(azure)?;
    time::is_of_our_era(&at).then_some(Start { kind, at })
}

type Reader = fn(&Query) -> Option<Timestamp>;

/// When `url` expires; `None` if it is not presigned or its times cannot be read.
#[must_use]
pub fn expiry(url: &Url) -> Option<Expiry> {
    let query = Query::read(url);
    let readers: [(PresignedKind, Reader); 4] = [
        (PresignedKind::S3, s3_v4),
        (PresignedKind::S3, s3_v2),
        (PresignedKind::ClaimX, claimx),
        (PresignedKind::AzureSas, azure_sas),
    ];
    readers.into_iter().find_map(|(kind, read)| {
        let expires_at = read(&query).filter(time::is_of_our_era)?;
        Some(Expiry { kind, expires_at })
    })
}

fn s3_v4(query: &Query) -> Option<Timestamp> {
    let seconds = whole_number(query.get("x-amz-expires")?)?;
    s3_signed_at(query)?
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
}

fn s3_signed_at(query: &Query) -> Option<Timestamp> {
    let signed_at = query.get("x-amz-date")?;
    // 20240101T000000Z and nothing looser: strptime alone would take fewer digits.
    let digits = signed_at.bytes().filter(u8::is_ascii_digit).count();
    if signed_at.len() != 16 || digits != 14 {
        return None;
    }
    utc(DateTime::strptime("%Y%m%dT%H%M%SZ", signed_at).ok()?)
}

fn s3_v2(query: &Query) -> Option<Timestamp> {
    query.get("awsaccesskeyid")?;
    query.get("signature")?;
    Timestamp::from_second(whole_number(query.get("expires")?)?).ok()
}

fn claimx(query: &Query) -> Option<Timestamp> {
    let system_date = whole_number(query.get("systemdate")?)?;
    let valid_for = whole_number(query.get("expires")?)?;
    Timestamp::from_millisecond(system_date.checked_add(valid_for)?).ok()
}

fn azure_sas(query: &Query) -> Option<Timestamp> {
    azure_time(query, "se")
}

/// `st` and `se` may be a date alone, have minutes alone, or full RFC 3339; without a zone they are UTC.
fn azure_time(query: &Query, name: &str) -> Option<Timestamp> {
    query.get("sig")?;
    // An offset's `+` that was not percent-encoded arrives as a space.
    let text = query.get(name)?.replace(' ', "+");
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let local = match text.len() {
        10 => text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
        _ => text.parse::<DateTime>().ok()?,
    };
    utc(local)
}

fn utc(local: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(local).ok()
}

/// Digits alone: no sign, no space, no fraction, and no more than an `i64` holds.
fn whole_number(text: &str) -> Option<i64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all_digits)
}

/// The query, decoded; names in lower case, since signers and proxies vary them.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(url: &Url) -> Self {
        let pairs = url.query_pairs();
        Self(
            pairs
                .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
                .collect(),
        )
    }

    /// The first value of that name.
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}
