//! The assignment event, in the two shapes that sources send.

mod attachments;
mod inner;
mod survey;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Message;
use super::codec::DecodeError;
use crate::json::{self, Object};
use crate::redaction::{redact_text, truncate_error};
use crate::time::{self, TimestampError};
use crate::topology::TopicRole;
use survey::Survey;

pub use inner::Inner;

/// A decoded event. [`Event::raw`] keeps all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Id that follows the event through the pipeline.
    pub trace_id: String,
    /// The full type: `documentsReceived` or `verisk.claims.property.xn.documentsReceived`.
    pub event_type: String,
    /// Subtype of flat events: `xact`.
    pub event_subtype: Option<String>,
    /// Last dotted part of the type; `event_subtype` if that is the domain word `xact`.
    pub status_subtype: String,
    /// Version of dotted events, as text.
    pub version: Option<String>,
    /// Timestamp of the source. If `None`, the timestamp of the Kafka record counts.
    pub timestamp: Option<Timestamp>,
    /// System that sent it.
    pub source_system: Option<String>,
    /// Assignment of the event. Without it, attachments have no destination.
    pub assignment_id: Option<String>,
    /// Version of the estimate, for estimate packages.
    pub estimate_version: Option<String>,
    /// URLs as the event spells them, each once. An entry of another type is its JSON text, which the URL rules refuse and
    /// report.
    pub attachments: Vec<String>,
    /// The inner objects: `payload` of flat events, `data` of dotted ones.
    pub inner: Inner,
    /// The unchanged text of the whole event, without byte order mark.
    pub raw: String,
    /// Content that is in no field above and is reported.
    pub irregularities: Irregularities,
}

/// Content of an event that the pipeline does not use, and that is reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Irregularities {
    /// JSON paths of http(s) URLs outside the recognised list of attachments.
    pub unlisted_urls: Vec<String>,
    /// JSON paths of names that occur more than once in their object; the last one counts.
    pub repeated_names: Vec<String>,
    /// A timestamp that was refused.
    pub timestamp: Option<RefusedTimestamp>,
}

/// A timestamp that counts as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTimestamp {
    /// Its text, redacted and truncated.
    pub written: String,
    /// Why it was refused.
    pub reason: TimestampError,
}

/// Limits the attachments of one event. Real events have a handful; each becomes a message.
pub const MAX_ATTACHMENTS: usize = 1000;

/// Limits the length of an id in bytes. Ids are repeated in every message and path; real ones have less than 100 bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// The domain word. As the last part of a type it has no meaning, so the subtype counts.
const DOMAIN: &str = "xact";

impl Event {
    /// Decodes an event that is a JSON value.
    ///
    /// # Errors
    /// As [`Event::decode`].
    pub fn from_value(value: &Value) -> Result<Self, DecodeError> {
        Self::decode(value.to_string().as_bytes())
    }

    /// Decodes the outer object of an event, then its inner objects. `raw` is the unchanged text.
    fn read(raw: &str, text: &str) -> Result<Self, String> {
        let object = Object::parse(text).map_err(|_| why_not_an_object(text))?;
        let missing = |names: &[&str]| format!("{} is missing or blank", names.join(" / "));
        let required = |names: &[&str]| object.text(names).ok_or_else(|| missing(names));

        let trace_id = required(&["trace_id", "traceId"])?;
        let event_type = required(&["event_type", "type"])?;
        let event_subtype = object.text(&["event_subtype"]);
        let (inner, read_inner) = Inner::read(&object)?;
        let parsed = inner.parse();
        let (attachments, read_list) = attachments::of(&object, &parsed);
        let (timestamp, refused_timestamp) = timestamp_of(&object);

        let mut found = Survey::default();
        let skipped: Vec<&RawValue> = read_inner.iter().map(|(_, value)| *value).chain(read_list).collect();
        survey::survey(&object, "$", &skipped, &mut found)?;
        for ((name, _), inside) in read_inner.iter().zip(&parsed) {
            survey::survey(inside, &format!("$.{name}"), &skipped, &mut found)?;
        }
        let irregularities = Irregularities {
            unlisted_urls: found.urls_other_than(&attachments),
            repeated_names: found.repeated_names().map(str::to_owned).collect(),
            timestamp: refused_timestamp,
        };
        let inner_text = |names: &[&str]| parsed.iter().find_map(|inside| inside.text(names));
        Ok(Self {
            status_subtype: status_subtype(&event_type, event_subtype.as_deref()),
            event_subtype,
            version: object.text(&["version"]),
            timestamp,
            source_system: object.text(&["source_system"]),
            assignment_id: inner_text(&["assignmentId", "assignment_id"]),
            estimate_version: inner_text(&["estimateVersion", "estimate_version"])
                .or_else(|| object.text(&["estimateVersion", "estimate_version"])),
            attachments,
            trace_id,
            event_type,
            inner,
            raw: raw.to_owned(),
            irregularities,
        })
    }

    /// Refuses ids that are longer than [`MAX_ID_BYTES`].
    fn check_ids(&self) -> Result<(), String> {
        let ids = [
            ("trace_id", Some(&self.trace_id)),
            ("event_type", Some(&self.event_type)),
            ("event_subtype", self.event_subtype.as_ref()),
            ("assignmentId", self.assignment_id.as_ref()),
            ("estimateVersion", self.estimate_version.as_ref()),
        ];
        for (name, id) in ids {
            let bytes = id.map_or(0, String::len);
            if bytes > MAX_ID_BYTES {
                return Err(format!("{name} has {bytes} bytes, at most {MAX_ID_BYTES} are taken"));
            }
        }
        Ok(())
    }
}

impl Message for Event {
    const NAME: &'static str = "event";
    const ROLE: TopicRole = TopicRole::Raw;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let fail = |reason: String| DecodeError::new(Self::NAME, reason);
        let raw = json::as_written(bytes).map_err(fail)?;
        let text = json::readable(bytes).map_err(fail)?;
        let event = Self::read(raw, &text).map_err(fail)?;
        event.check_ids().map_err(fail)?;
        Ok(event)
    }

    fn trace_id(&self) -> &str {
        &self.trace_id
    }
}

/// Returns why a text is not a JSON object: it is no JSON, or another value.
fn why_not_an_object(text: &str) -> String {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(other) => format!("expected an object, found {}", json::Kind::of(other)),
        Err(error) => error.to_string(),
    }
}

fn status_subtype(event_type: &str, event_subtype: Option<&str>) -> String {
    let last_part = event_type.rsplit('.').next().unwrap_or_default().trim();
    match event_subtype {
        Some(subtype) if last_part == DOMAIN || last_part.is_empty() => subtype,
        _ if last_part.is_empty() => event_type,
        _ => last_part,
    }
    .to_owned()
}

/// Returns the first valid timestamp, or why the first one that exists is refused.
fn timestamp_of(object: &Object<'_>) -> (Option<Timestamp>, Option<RefusedTimestamp>) {
    let mut refused = None;
    for value in object.all(&["timestamp", "utcDateTime"]) {
        match time::read(value) {
            Some(Ok(timestamp)) => return (Some(timestamp), None),
            Some(Err(reason)) => {
                refused.get_or_insert_with(|| RefusedTimestamp {
                    written: truncate_error(&redact_text(value.get())),
                    reason,
                });
            }
            None => {}
        }
    }
    (None, refused)
}

#[cfg(test)]
mod tests;
