//! The messages that were sent and their expected outcome, derived from the messages by `shared/contracts/SPECIFICATION.md`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::ids;

/// The only host of the samples that is not on the default allow-list.
const REFUSED_HOST: &str = "files.example.net";

/// A message of the raw topic.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its key, the trace id of the event.
    pub trace_id: String,
    /// Its value as text.
    pub text: String,
    /// The event; `None` if it is unreadable.
    pub event: Option<Value>,
    /// Its attachments in order.
    pub attachments: Vec<Attachment>,
}

/// An attachment of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// Media id, computed independently of the product.
    pub media_id: String,
    /// URL as spelled in the event.
    pub url: String,
    /// Its expected outcome.
    pub end: End,
}

/// How an attachment must end.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// As a file in the lake with a row in `xact_attachments`.
    File {
        /// The content that the server serves; `None` until it is filled in.
        content: Option<Content>,
        /// Permitted values of the retry count in the row.
        retries: RangeInclusive<i64>,
    },
    /// As a row in `xact_attachments_failed`.
    Failed(Failure),
}

/// Expected properties of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A permanent failure with these columns.
    Permanent {
        /// Part of the row's error text.
        message: &'static str,
        /// HTTP status of the server, if a request was made.
        http_status: Option<u16>,
    },
    /// Any failure: processes are killed meanwhile, so that any response may have exhausted the retries.
    Any,
}

/// Any number of retries, for runs in which processes are killed.
pub const ANY_RETRIES: RangeInclusive<i64> = 0..=i64::MAX;

/// A file as the sample server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Size.
    pub bytes: u64,
    /// Hash.
    pub sha256: String,
}

impl Sent {
    /// Parses a message.
    pub fn read(key: &str, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let event: Option<Value> = serde_json::from_slice(bytes).ok();
        let urls = event.as_ref().map(urls_of).unwrap_or_default();
        Self {
            trace_id: key.to_owned(),
            attachments: urls.into_iter().map(|url| Attachment::of_sample(key, url)).collect(),
            text,
            event,
        }
    }

    /// Returns the events of the manifest of a demo, each of them once, even if it was sent several times.
    pub fn of_manifest(manifest: &[Value]) -> Vec<Self> {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let content = |claim: &Value| {
            Some(Content {
                bytes: claim["bytes"].as_u64()?,
                sha256: text(claim, "sha256"),
            })
        };
        let read = |event: &Value| {
            let mut sent = Self::read(&text(event, "trace_id"), text(event, "message").as_bytes());
            for (attachment, claim) in sent
                .attachments
                .iter_mut()
                .zip(event["attachments"].as_array().into_iter().flatten())
            {
                if let End::File { content: served, .. } = &mut attachment.end {
                    *served = content(claim);
                }
            }
            sent
        };
        manifest.iter().map(read).collect()
    }

    /// Returns the events on the raw topic, each of them once, even if it is there several times.
    pub fn of_records(records: &[crate::kcat::Record]) -> Vec<Self> {
        let by_key: BTreeMap<&str, &[u8]> = records
            .iter()
            .map(|record| (record.key.as_str(), record.value.as_slice()))
            .collect();
        by_key.into_iter().map(|(key, value)| Self::read(key, value)).collect()
    }

    /// Returns the message without the query strings of its URLs.
    pub fn text_without_queries(&self) -> String {
        let mut text = self.text.clone();
        for attachment in &self.attachments {
            text = text.replace(&attachment.url, without_query(&attachment.url));
        }
        text
    }

    /// Returns `payload`, or `data`, which may be a string that contains JSON.
    pub fn payload(&self) -> Value {
        self.event.as_ref().map(payload_of).unwrap_or_default()
    }
}

impl Attachment {
    /// Returns the expected outcome of a URL: by the URL rules, then by the path on the sample server.
    fn of_sample(trace_id: &str, url: String) -> Self {
        let (host, path) = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .unwrap_or((&url, ""));
        let kind = path.split('/').next().unwrap_or_default();
        let failed = |message, http_status| End::Failed(Failure::Permanent { message, http_status });
        let end = match kind {
            _ if host == REFUSED_HOST => failed("ALLOWED_ATTACHMENT_DOMAINS", None),
            // Samples are signed for a week, expired ones for an hour in the past.
            _ if url.contains("X-Amz-Expires=3600") => failed("expired", None),
            "missing" => failed("404", Some(404)),
            "html" => failed("HTML", Some(200)),
            _ => End::File {
                content: None,
                // A restarted server fails its first download again.
                retries: if kind.ends_with("-once") { 1..=2 } else { 0..=0 },
            },
        };
        Self {
            media_id: ids::media_id(trace_id, &url),
            url,
            end,
        }
    }

    /// Returns the secret part of the URL; empty if it is not signed.
    pub fn signature(&self) -> &str {
        self.url
            .split_once("X-Amz-Signature=")
            .map_or("", |(_, signature)| signature)
    }
}

/// Returns a URL up to its query.
pub fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn payload_of(event: &Value) -> Value {
    match &event["data"] {
        Value::Null => event["payload"].clone(),
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        data => data.clone(),
    }
}

fn urls_of(event: &Value) -> Vec<String> {
    let payload = payload_of(event);
    let list = match &event["attachments"] {
        Value::Null => &payload["attachments"],
        list => list,
    };
    let urls = list.as_array().map(Vec::as_slice).unwrap_or_default();
    urls.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
