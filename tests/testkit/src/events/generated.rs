//! Generates events of every kind and the expected outcome of each attachment, determined by the seed alone.

use serde_json::{Value, json};

use crate::ids;
use crate::samples::HOSTS;
use crate::sent::{ANY_RETRIES, Attachment, End, Failure, Sent};

/// Part of the signature of every URL; it must not occur in a log or a table.
pub const SIGNATURE: &str = "PLANTED5ec4e75ec4e7";

/// A host on the allow-list of the run at which nothing listens.
pub const DEAD_HOST: &str = "gone.example.com";

/// Hosts that return files, refusals and transient failures, mixed so that ten failures in a row, which open a circuit
/// breaker, do not occur by chance.
const GOOD_HOSTS: [&str; 4] = [HOSTS[0], HOSTS[1], HOSTS[3], HOSTS[4]];
/// A host that always fails: its circuit breaker may open, which must not delay files of other hosts.
const FAILING_HOST: &str = HOSTS[5];
const REFUSED_HOST: &str = "files.example.net";

/// A generated event.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The message and its expected outcome.
    pub sent: Sent,
    /// Whether it is sent a second time to another partition, so that two consumers process it at the same time.
    pub is_sent_again: bool,
}

/// Expected outcome of the attachments of a kind.
#[derive(Clone, Copy)]
enum Outcome {
    File,
    Failed,
}

/// A kind of attachment.
struct Kind {
    name: &'static str,
    /// Attachments of this kind per thousand.
    per_thousand: u32,
    hosts: &'static [&'static str],
    end: Outcome,
}

const fn kind(name: &'static str, per_thousand: u32, hosts: &'static [&'static str], end: Outcome) -> Kind {
    Kind {
        name,
        per_thousand,
        hosts,
        end,
    }
}

/// All kinds; `ok` is the remainder of the thousand. Except for the last four, names are those of the sample server.
const KINDS: [Kind; 18] = [
    kind("octet", 30, &GOOD_HOSTS, Outcome::File),
    kind("redirect", 20, &GOOD_HOSTS, Outcome::File),
    kind("slow", 10, &GOOD_HOSTS, Outcome::File),
    kind("unavailable-once", 20, &GOOD_HOSTS, Outcome::File),
    kind("throttled-once", 15, &GOOD_HOSTS, Outcome::File),
    kind("unauthorized-once", 15, &GOOD_HOSTS, Outcome::File),
    kind("truncated-once", 20, &GOOD_HOSTS, Outcome::File),
    kind("unavailable-thrice", 8, &GOOD_HOSTS, Outcome::File),
    kind("missing", 10, &GOOD_HOSTS, Outcome::Failed),
    kind("forbidden", 5, &GOOD_HOSTS, Outcome::Failed),
    kind("html", 5, &GOOD_HOSTS, Outcome::Failed),
    kind("wrong-type", 5, &GOOD_HOSTS, Outcome::Failed),
    kind("redirect-away", 3, &GOOD_HOSTS, Outcome::Failed),
    kind("endless", 3, &GOOD_HOSTS, Outcome::Failed),
    kind("unavailable", 5, &[FAILING_HOST], Outcome::Failed),
    kind("truncated", 5, &[FAILING_HOST], Outcome::Failed),
    // Signed for an hour in the past; no request is made.
    kind("expired", 8, &GOOD_HOSTS, Outcome::Failed),
    // Refused before a request is made.
    kind("refused", 8, &[REFUSED_HOST], Outcome::Failed),
];

/// Attachments per thousand with a host at which nothing listens.
const DEAD_PER_THOUSAND: u32 = 3;
/// Messages per thousand that are not events.
const UNREADABLE_PER_THOUSAND: u32 = 5;
/// Events per thousand that are sent a second time.
const AGAIN_PER_THOUSAND: u32 = 20;

const NAMES: [&str; 8] = [
    "Estimate.pdf",
    "Photo%20Report.pdf",
    "IMG_0412.JPG",
    "kitchen.jpg",
    "roof.png",
    "notes.txt",
    "line-items.csv",
    "Statement%20of%20Loss.docx",
];
const TYPES: [&str; 4] = [
    "documentsReceived",
    "firstNoticeOfLossReceived",
    "estimatePackageReceived",
    "notesAdded",
];

/// Returns the events of a seed.
pub fn of_seed(seed: u64, count: usize) -> Vec<Generated> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|index| generated(&mut random, seed, index)).collect()
}

fn generated(random: &mut fastrand::Rng, seed: u64, index: usize) -> Generated {
    let trace_id = format!("storm-{seed}-{index:06}");
    let is_readable = random.u32(0..1000) >= UNREADABLE_PER_THOUSAND;
    let is_sent_again = random.u32(0..1000) < AGAIN_PER_THOUSAND;
    let count = if is_readable {
        [0, 1, 1, 1, 2, 2, 3][random.usize(0..7)]
    } else {
        0
    };
    let attachments: Vec<Attachment> = (0..count).map(|place| attachment(random, &trace_id, place)).collect();
    let event = is_readable.then(|| message(random, &trace_id, index, &attachments));
    let text = match &event {
        Some(event) => event.to_string(),
        // Truncated in the middle of a string, as by a faulty producer.
        None => format!("{{\"trace_id\":\"{trace_id}\",\"event_type\":\"docum"),
    };
    let sent = Sent {
        trace_id,
        text,
        event,
        attachments,
    };
    Generated { sent, is_sent_again }
}

fn attachment(random: &mut fastrand::Rng, trace_id: &str, place: usize) -> Attachment {
    let good = kind("ok", 0, &GOOD_HOSTS, Outcome::File);
    let dead = kind("dead-host", DEAD_PER_THOUSAND, &[DEAD_HOST], Outcome::Failed);
    let mut drawn = random.u32(0..1000);
    let kind = KINDS.iter().chain([&dead]).find(|kind| {
        let is_it = drawn < kind.per_thousand;
        drawn = drawn.saturating_sub(kind.per_thousand);
        is_it
    });
    let kind = kind.unwrap_or(&good);
    let bytes = match random.u8(0..100) {
        0..80 => random.u32(1_000..12_000),
        80..99 => random.u32(12_000..120_000),
        _ => random.u32(1_000_000..2_000_000),
    };
    let host = kind.hosts[random.usize(0..kind.hosts.len())];
    let served = match kind.name {
        "expired" | "refused" | "dead-host" => "ok",
        name => name,
    };
    let name = match kind.name {
        // Types that an HTML page can be mistaken for and that have a signature to detect.
        "html" | "wrong-type" | "endless" => NAMES[0],
        _ => NAMES[random.usize(0..NAMES.len())],
    };
    let signed = match kind.name {
        "expired" => "X-Amz-Date=20240101T000000Z&X-Amz-Expires=3600&",
        _ => "",
    };
    let nonce = random.u32(..);
    let url = format!(
        "https://{host}/{served}/{bytes}/{trace_id}-{place}/{name}?X-Amz-Algorithm=AWS4-HMAC-SHA256&{signed}X-Amz-Signature={SIGNATURE}{nonce:08x}"
    );
    Attachment {
        media_id: ids::media_id(trace_id, &url),
        url,
        end: match kind.end {
            Outcome::File => End::File {
                content: None,
                retries: ANY_RETRIES,
            },
            Outcome::Failed => End::Failed(Failure::Any),
        },
    }
}

/// Returns the event in one of its two formats.
fn message(random: &mut fastrand::Rng, trace_id: &str, index: usize, attachments: &[Attachment]) -> Value {
    let urls: Vec<&str> = attachments.iter().map(|attachment| attachment.url.as_str()).collect();
    let kind = TYPES[random.usize(0..TYPES.len())];
    // Several days, so that the tables have several partitions.
    let at = format!(
        "2025-01-{:02}T12:{:02}:{:02}Z",
        1 + index % 3,
        index / 60 % 60,
        index % 60
    );
    let mut data = json!({
        "assignmentId": format!("A{:07}", index / 3), "description": format!("storm event {index}"),
        "estimateVersion": index % 4, "note": "water damage — Küche",
    });
    if index.is_multiple_of(2) {
        return json!({
            "trace_id": trace_id, "event_type": kind, "event_subtype": "xact", "timestamp": at,
            "source_system": "storm", "payload": data, "attachments": urls,
        });
    }
    data["attachments"] = json!(urls);
    json!({
        "type": format!("verisk.claims.property.xn.{kind}"), "version": "1.2", "utcDateTime": at, "traceId": trace_id,
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn events_are_reproducible_by_their_seed() {
        let text = |seed| {
            let events = of_seed(seed, 50);
            events.into_iter().map(|event| event.sent.text).collect::<Vec<_>>()
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn every_kind_occurs_and_most_attachments_are_valid() {
        let events = of_seed(1, 5000);
        let attachments: Vec<_> = events.iter().flat_map(|event| &event.sent.attachments).collect();
        // By kind, the first part of the path.
        let mut served: BTreeMap<&str, usize> = BTreeMap::new();
        for attachment in &attachments {
            *served.entry(attachment.url.split('/').nth(3).unwrap()).or_default() += 1;
        }
        let names = KINDS
            .iter()
            .map(|kind| kind.name)
            .filter(|name| !["expired", "refused"].contains(name));
        assert_eq!(
            served.keys().copied().collect::<BTreeSet<_>>(),
            names.chain(["ok"]).collect()
        );
        for part in [DEAD_HOST, REFUSED_HOST, "X-Amz-Expires=3600"] {
            assert!(
                attachments.iter().any(|attachment| attachment.url.contains(part)),
                "{part}"
            );
        }
        assert!(served["ok"] * 10 > attachments.len() * 7, "{served:?}");
        let media: BTreeSet<_> = attachments.iter().map(|attachment| &attachment.media_id).collect();
        assert_eq!(media.len(), attachments.len(), "keys are single");
        assert!(
            events.iter().any(|event| event.sent.event.is_none()) && events.iter().any(|event| event.is_sent_again)
        );
    }
}
