//! The validity of a presigned URL, read from its query, so that no request is made outside it.
//!
//! An invalid value gives `None`: the server then decides.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::time;

/// Service that signed a URL, which decides how its validity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresignedKind {
    /// Amazon S3: `X-Amz-Date` + `X-Amz-Expires` ([Signature Version 4][v4]), or `Expires` in Unix
    /// seconds next to `AWSAccessKeyId` and `Signature` ([Version 2][v2]).
    ///
    /// [v4]: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    /// [v2]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
    S3,
    /// Azure Storage [shared access signature](https://learn.microsoft.com/rest/api/storageservices/create-service-sas): `se` next to `sig`.
    AzureSas,
    /// ClaimX: `systemDate` in Unix milliseconds + `expires` in milliseconds.
    ClaimX,
}

impl PresignedKind {
    /// Returns the name for logs and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::AzureSas => "Azure SAS",
            Self::ClaimX => "ClaimX",
        }
    }
}

/// The end of a presigned URL's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Service that signed it.
    pub kind: PresignedKind,
    /// The first instant at which it is expired.
    pub expires_at: Timestamp,
}

impl Expiry {
    /// Whether the URL is expired at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

/// The start of a presigned URL's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Service that signed it.
    pub kind: PresignedKind,
    /// The first instant at which it is valid.
    pub at: Timestamp,
}

/// Largest expected difference between two clocks. S3 accepts requests that are signed up to this time ahead of its clock
/// (beyond, it responds `RequestTimeTooSkewed` or "Request is not valid yet"); Microsoft's guide to shared access signatures
/// assumes the same.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);

impl Start {
    /// Whether the service certainly refuses the URL at `now`: S3 accepts one that starts within [`CLOCK_SKEW`], Azure does not.
    #[must_use]
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        let tolerated = match self.kind {
            PresignedKind::S3 => CLOCK_SKEW,
            PresignedKind::AzureSas | PresignedKind::ClaimX => SignedDuration::ZERO,
        };
        self.at.duration_since(now) > tolerated
    }

    /// Whether the service may refuse the URL at `now` as not valid yet, since its clock may be behind.
    #[must_use]
    pub fn may_be_ahead(&self, now: Timestamp) -> bool {
        self.at.duration_since(now) > -CLOCK_SKEW
    }
}

/// Returns the start of the validity of `url`; `None` if it has none or it cannot be read.
#[must_use]
pub fn start(url: &Url) -> Option<Start> {
    let query = Query::read(url);
    let s3 = || Some((PresignedKind::S3, s3_signed_at(&query)?));
    let azure = || Some((PresignedKind::AzureSas, azure_time(&query, "st")?));
    let (kind, at) = s3().or_else(azure)?;
    time::is_of_our_era(&at).then_some(Start { kind, at })
}

type Reader = fn(&Query<'_>) -> Option<Timestamp>;

/// Returns the expiry of `url`; `None` if it is not presigned or its times cannot be read.
#[must_use]
pub fn expiry(url: &Url) -> Option<Expiry> {
    let query = Query::read(url);
    let readers: [(PresignedKind, Reader); 4] = [
        (PresignedKind::S3, s3_v4),
        (PresignedKind::S3, s3_v2),
        (PresignedKind::ClaimX, claimx),
        (PresignedKind::AzureSas, |query| azure_time(query, "se")),
    ];
    readers.into_iter().find_map(|(kind, read)| {
        let expires_at = read(&query).filter(time::is_of_our_era)?;
        Some(Expiry { kind, expires_at })
    })
}

fn s3_v4(query: &Query<'_>) -> Option<Timestamp> {
    let seconds = whole_number(query.get("x-amz-expires")?)?;
    s3_signed_at(query)?
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
}

fn s3_signed_at(query: &Query<'_>) -> Option<Timestamp> {
    let signed_at = query.get("x-amz-date")?;
    // Exactly 20240101T000000Z: strptime alone would accept fewer digits.
    let digits = signed_at.bytes().filter(u8::is_ascii_digit).count();
    if signed_at.len() != 16 || digits != 14 {
        return None;
    }
    utc(DateTime::strptime("%Y%m%dT%H%M%SZ", signed_at).ok()?)
}

fn s3_v2(query: &Query<'_>) -> Option<Timestamp> {
    query.get("awsaccesskeyid")?;
    query.get("signature")?;
    Timestamp::from_second(whole_number(query.get("expires")?)?).ok()
}

fn claimx(query: &Query<'_>) -> Option<Timestamp> {
    let system_date = whole_number(query.get("systemdate")?)?;
    let valid_for = whole_number(query.get("expires")?)?;
    Timestamp::from_millisecond(system_date.checked_add(valid_for)?).ok()
}

/// Reads `st` or `se`: a date, a time in minutes, or full RFC 3339; without a zone it is UTC.
fn azure_time(query: &Query<'_>, name: &str) -> Option<Timestamp> {
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

/// Reads digits only: no sign, no space, no fraction, and within an `i64`.
fn whole_number(text: &str) -> Option<i64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all_digits)
}

/// The decoded query.
struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    fn read(url: &'a Url) -> Self {
        Self(url.query_pairs().collect())
    }

    /// Returns the first value of that name in any case, since signers and proxies vary it.
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}
