//! Generates sample events: both formats, 0 to 5 attachments of several types and sizes, and some faults.
//!
//! The hosts are on the default allow-list; in development the sample server answers for them. The path selects what that
//! server returns.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use attachment_source::{SampleFile, content_for, decode_path};
use xact_contracts::{ids, time};

/// What is special about an event or an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display)]
pub(crate) enum Kind {
    #[strum(to_string = "good")]
    Good,
    #[strum(to_string = "404 not found")]
    Missing,
    #[strum(to_string = "503 once, then good")]
    UnavailableOnce,
    #[strum(to_string = "body cut short once, then good")]
    TruncatedOnce,
    #[strum(to_string = "expired presigned URL")]
    Expired,
    #[strum(to_string = "host that is not allowed")]
    RefusedHost,
    #[strum(to_string = "HTML page served as PDF")]
    HtmlAsPdf,
    /// Not an event.
    #[strum(to_string = "unreadable message")]
    Unreadable,
    #[strum(to_string = "same event sent twice")]
    SentTwice,
    #[strum(to_string = "same file names in one event")]
    SameNames,
}

/// The result that an attachment must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    File,
    Failed,
}

impl Kind {
    /// In every 50 events each of these occurs once; the others are good.
    const CYCLE: [(u64, Self); 9] = [
        (3, Self::Missing),
        (8, Self::UnavailableOnce),
        (13, Self::TruncatedOnce),
        (18, Self::Expired),
        (23, Self::RefusedHost),
        (28, Self::HtmlAsPdf),
        (33, Self::Unreadable),
        (38, Self::SentTwice),
        (43, Self::SameNames),
    ];

    fn of_index(index: u64) -> Self {
        let found = Self::CYCLE.iter().find(|(place, _)| index % 50 == *place);
        found.map_or(Self::Good, |(_, kind)| *kind)
    }

    pub(crate) const fn expected(self) -> Expected {
        match self {
            Self::Missing | Self::Expired | Self::RefusedHost | Self::HtmlAsPdf => Expected::Failed,
            _ => Expected::File,
        }
    }

    /// Returns the first path segment, which selects the response of the sample server.
    const fn server_kind(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UnavailableOnce => "unavailable-once",
            Self::TruncatedOnce => "truncated-once",
            Self::HtmlAsPdf => "html",
            _ => "ok",
        }
    }
}

/// One event to send, and the results that its attachments must have.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) trace_id: String,
    pub(crate) kind: Kind,
    /// The number of times it is sent.
    pub(crate) times: usize,
    pub(crate) attachments: Vec<Attachment>,
    index: u64,
    /// The time of sending, from which the latency is measured, and the message.
    pub(crate) sent: Option<(Timestamp, Vec<u8>)>,
}

/// One attachment of a sample.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) media_id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) url: String,
}

impl Attachment {
    /// Returns the content that the sample server has for it.
    pub(crate) fn content(&self) -> Option<SampleFile> {
        let url = Url::parse(&self.url).ok()?;
        Some(content_for(&decode_path(url.path())))
    }
}

const HOSTS: [&str; 3] = [
    "claimxperience.s3.us-east-1.amazonaws.com",
    "usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com",
    "www.claimxperience.com",
];
const REFUSED_HOST: &str = "files.example.net";
const NAMES: [&str; 10] = [
    "Estimate.pdf",
    "Photo Report.pdf",
    "IMG_0412.JPG",
    "kitchen ceiling.jpg",
    "roof.png",
    "notes.txt",
    "line-items.csv",
    "Statement of Loss.docx",
    "walkthrough.mov",
    "Floor plan.PNG",
];
const TYPES: [&str; 4] = [
    "documentsReceived",
    "firstNoticeOfLossReceived",
    "estimatePackageReceived",
    "notesAdded",
];

impl Sample {
    /// Returns the samples of a run; the same run gives the same samples, except for times in URLs.
    pub(crate) fn series(run: &str, count: u64) -> impl Iterator<Item = Self> + use<> {
        let run = run.to_owned();
        (0..count).map(move |index| Self::new(&run, index))
    }

    fn new(run: &str, index: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(index);
        let kind = Kind::of_index(index);
        let trace_id = format!("demo-{run}-{index:06}");
        let count = match kind {
            Kind::Unreadable => 0,
            Kind::SameNames => random.usize(2..=5),
            // A faulty event has at least the attachment with the fault.
            Kind::Good => random.usize(0..=5),
            _ => random.usize(1..=3),
        };
        let shared_name = *random.choice(&NAMES).unwrap_or(&NAMES[0]);
        let attachments = (0..count)
            .map(|place| {
                let own = match kind {
                    // Only the first has the fault, and the others must not be delayed by it.
                    _ if place > 0 && kind != Kind::SameNames => Kind::Good,
                    kind => kind,
                };
                let name = match own {
                    Kind::SameNames => shared_name,
                    Kind::HtmlAsPdf => "Estimate.pdf",
                    _ => *random.choice(&NAMES).unwrap_or(&NAMES[0]),
                };
                Self::attachment(&mut random, &trace_id, own, place, name)
            })
            .collect();
        Self {
            times: if kind == Kind::SentTwice { 2 } else { 1 },
            trace_id,
            kind,
            attachments,
            index,
            sent: None,
        }
    }

    fn attachment(random: &mut fastrand::Rng, trace_id: &str, kind: Kind, place: usize, name: &str) -> Attachment {
        // Mostly small, a few of several MB, like photos and videos.
        let bytes = match random.u8(0..100) {
            0..70 => random.u32(1_000..20_000),
            70..98 => random.u32(20_000..150_000),
            _ => random.u32(1_000_000..4_000_000),
        };
        let host = match kind {
            Kind::RefusedHost => REFUSED_HOST,
            _ => HOSTS[random.usize(0..HOSTS.len())],
        };
        let mut url = Url::parse(&format!("https://{host}/")).expect("the hosts are constants");
        let (bytes, folder) = (bytes.to_string(), format!("{trace_id}-{place}"));
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend([kind.server_kind(), &bytes, &folder, name]);
        }
        sign(&mut url, random, kind == Kind::Expired);
        let url = url.to_string();
        Attachment {
            media_id: ids::media_id(trace_id, &url),
            kind,
            url,
        }
    }

    /// Sets the time of sending and returns the message.
    pub(crate) fn message(&mut self, now: Timestamp) -> Vec<u8> {
        let now = time::to_microseconds(now);
        let bytes = match self.kind {
            // Truncated in the middle of a string, as by a broken producer.
            Kind::Unreadable => format!("{{\"trace_id\":\"{}\",\"event_type\":\"docum", self.trace_id).into_bytes(),
            _ => self.event(now).to_string().into_bytes(),
        };
        self.sent = Some((now, bytes.clone()));
        bytes
    }

    fn event(&self, now: Timestamp) -> Value {
        let urls: Vec<&str> = self.attachments.iter().map(|attachment| &*attachment.url).collect();
        let kind = TYPES[usize::try_from(self.index).unwrap_or(0) % TYPES.len()];
        let assignment = format!("A{:07}", self.index / 3);
        let mut data = json!({
            "assignmentId": assignment,
            "originalAssignmentId": assignment,
            "description": format!("Sample event {}", self.index),
            "carrierId": "CARRIER-7",
            "xnAddress": "DEMO.XN",
            "estimateVersion": self.index % 4,
            // A number in place of text: real sources send that.
            "note": if self.index.is_multiple_of(5) { json!(self.index) } else { json!("water damage, see photos — Küche") },
            "author": "Ada Adjuster",
            "senderReviewerName": "Rita Reviewer",
            "senderReviewerEmail": "rita@example.com",
            "dateTime": "2024-12-31T05:00:00",
            "adm": {"coverageLoss": {"claimNumber": format!("CLM-{:06}", self.index)}},
            "contact": {"type": "insured", "name": "Ivan Insured", "contactMethods": {
                "phone": {"type": "cell", "number": "555-0100", "extension": "7"},
                "email": {"address": "ivan@example.com"}}},
        });
        if self.index.is_multiple_of(2) {
            return json!({
                "trace_id": self.trace_id, "event_type": kind, "event_subtype": "xact", "timestamp": time::format(now),
                "source_system": "demo", "payload": data, "attachments": urls, "metadata": {"sample": true},
            });
        }
        data["attachments"] = json!(urls);
        if self.index % 4 == 1 {
            data = json!(data.to_string());
        }
        json!({
            "type": format!("verisk.claims.property.xn.{kind}"),
            "version": if self.index % 8 == 1 { json!(1) } else { json!("1.2") },
            "utcDateTime": time::format(now), "traceId": self.trace_id, "eventId": ids::event_id(&self.trace_id), "data": data,
        })
    }

    /// Returns what was sent and the expected results as one JSON object.
    pub(crate) fn manifest(&self) -> Value {
        let attachments = self.attachments.iter().map(|attachment| {
            let content = attachment
                .content()
                .filter(|_| attachment.kind.expected() == Expected::File);
            json!({
                "media_id": attachment.media_id,
                "kind": attachment.kind.to_string(),
                "url": attachment.url,
                "expected": match attachment.kind.expected() { Expected::File => "file", Expected::Failed => "failed" },
                "bytes": content.as_ref().map(SampleFile::size),
                "sha256": content.as_ref().map(SampleFile::sha256),
            })
        });
        let attachments: Vec<Value> = attachments.collect();
        let message = self.sent.as_ref().map(|(_, bytes)| String::from_utf8_lossy(bytes));
        json!({
            "trace_id": self.trace_id, "event_id": ids::event_id(&self.trace_id), "kind": self.kind.to_string(),
            "times": self.times, "sent_at": self.sent.as_ref().map(|(at, _)| time::format(*at)),
            "message": message, "attachments": attachments,
        })
    }
}

/// Adds a query like that of a presigned S3 URL; the signature is random.
fn sign(url: &mut Url, random: &mut fastrand::Rng, expired: bool) {
    let (age, seconds) = if expired { (7200, 3600) } else { (30, 604_800) };
    let from = Timestamp::now() - SignedDuration::from_secs(age);
    let credential = format!("DEMO/{}/us-east-1/s3/aws4_request", from.strftime("%Y%m%d"));
    let signature = format!("{:032x}{:032x}", random.u128(..), random.u128(..));
    url.query_pairs_mut()
        .append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
        .append_pair("X-Amz-Credential", &credential)
        .append_pair("X-Amz-Date", &from.strftime("%Y%m%dT%H%M%SZ").to_string())
        .append_pair("X-Amz-Expires", &seconds.to_string())
        .append_pair("X-Amz-SignedHeaders", "host")
        .append_pair("X-Amz-Signature", &signature);
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::messages::{Event, Message};
    use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, UrlPolicy};

    #[test]
    fn every_fifty_events_have_every_kind_and_all_but_one_are_readable() {
        let policy = UrlPolicy::new(DEFAULT_ALLOWED_HOSTS);
        let mut kinds = std::collections::BTreeSet::new();
        for mut sample in Sample::series("test", 50) {
            kinds.insert(sample.kind);
            let message = sample.message(Timestamp::UNIX_EPOCH);
            assert!(
                message.len() < 6_000,
                "{}: the embedded broker keeps 5 MiB a partition",
                message.len()
            );
            let event = Event::decode(&message);
            assert_eq!(event.is_err(), sample.kind == Kind::Unreadable);
            let Ok(event) = event else { continue };
            assert_eq!(event.trace_id, sample.trace_id);
            assert_eq!(event.attachments.len(), sample.attachments.len());
            for (url, attachment) in event.attachments.iter().zip(&sample.attachments) {
                assert_eq!(ids::media_id(&event.trace_id, url), attachment.media_id);
                assert_eq!(
                    policy.check(url).is_err(),
                    attachment.kind == Kind::RefusedHost,
                    "{url}"
                );
            }
        }
        assert_eq!(kinds.len(), 10);
    }
}
