//! The assignment event, in both shapes in which sources send it.

use super::fields::{is_exact, kind, text_of};
use super::{DecodeError, Message};
use crate::time;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// An event as it was understood. [`Event::raw`] keeps all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id of the event's whole way through the pipeline.
    pub trace_id: String,
    /// The full type: `documentsReceived` or `verisk.claims.property.xn.documentsReceived`.
    pub event_type: String,
    /// Subtype of flat events: `xact`.
    pub event_subtype: Option<String>,
    /// Last dot-part of the type; `event_subtype` when that is just the domain word `xact`.
    pub status_subtype: String,
    /// Version of dotted events, as text.
    pub version: Option<String>,
    /// When it happened, by the source's clock. `None`: the record's own timestamp counts.
    pub timestamp: Option<Timestamp>,
    /// Who sent it.
    pub source_system: Option<String>,
    /// Assignment that the event belongs to: without it no attachment has a place to go.
    pub assignment_id: Option<String>,
    /// Version of the estimate, for estimate packages.
    pub estimate_version: Option<String>,
    /// URLs as the event spells them, without repetitions. An entry of another type is kept as its JSON text,
    /// so that the URL rules refuse it aloud.
    pub attachments: Vec<String>,
    /// `payload` of flat events, `data` of dotted ones.
    pub payload: Map<String, Value>,
    /// The whole event as it came.
    pub raw: Value,
}

/// Most attachments of one event. Real ones have a handful; each becomes a message of its own.
pub const MAX_ATTACHMENTS: usize = 1000;

/// Longest id in bytes: it is repeated in every message and path, and real ones are under a hundred.
pub const MAX_ID_BYTES: usize = 1024;

/// The domain word: as a last type part it says nothing, so the subtype counts.
const DOMAIN: &str = "xact";

impl Event {
    /// Understands an event.
    ///
    /// # Errors
    /// When it is no object, or has no trace id or no type, or its `data` string holds no JSON object.
    pub fn from_value(raw: Value) -> Result<Self, DecodeError> {
        let fail = |reason: String| DecodeError::new(Self::NAME, reason);
        let Value::Object(object) = &raw else {
            return Err(fail(format!("expected an object, found {}", kind(&raw))));
        };
        let text = |names: &[&str]| names.iter().find_map(|name| text_of(object.get(*name)?));
        let required =
            |names: &[&str]| text(names).ok_or_else(|| fail(format!("{} is missing or blank", names.join(" / "))));

        let trace_id = required(&["trace_id", "traceId"])?;
        let event_type = required(&["event_type", "type"])?;
        let event_subtype = text(&["event_subtype"]);
        let last_part = event_type.rsplit('.').next().unwrap_or_default().trim();
        let status_subtype = match &event_subtype {
            Some(subtype) if last_part == DOMAIN || last_part.is_empty() => subtype.clone(),
            _ if last_part.is_empty() => event_type.clone(),
            _ => last_part.to_owned(),
        };
        let payload = payload_of(object).map_err(fail)?;
        let ids = [
            (object, "trace_id"),
            (object, "traceId"),
            (&payload, "assignmentId"),
            (&payload, "assignment_id"),
        ];
        for (holder, name) in ids {
            if matches!(holder.get(name), Some(Value::Number(number)) if !is_exact(number)) {
                return Err(fail(format!(
                    "{name} is a number too large to be kept exactly: it must be a string"
                )));
            }
        }
        let inner = |names: &[&str]| names.iter().find_map(|name| text_of(payload.get(*name)?));
        let event = Self {
            event_subtype,
            status_subtype,
            version: text(&["version"]),
            timestamp: ["timestamp", "utcDateTime"]
                .iter()
                .find_map(|name| time::parse(object.get(*name)?)),
            source_system: text(&["source_system"]),
            assignment_id: inner(&["assignmentId", "assignment_id"]),
            estimate_version: inner(&["estimateVersion", "estimate_version"])
                .or_else(|| text(&["estimateVersion", "estimate_version"])),
            attachments: attachments_of(object.get("attachments").or_else(|| payload.get("attachments"))),
            trace_id,
            event_type,
            payload,
            raw: Value::Null,
        };
        let ids = [
            ("trace_id", Some(&event.trace_id)),
            ("event_type", Some(&event.event_type)),
            ("event_subtype", event.event_subtype.as_ref()),
            ("assignmentId", event.assignment_id.as_ref()),
            ("estimateVersion", event.estimate_version.as_ref()),
        ];
        for (name, id) in ids {
            if let Some(id) = id.filter(|id| id.len() > MAX_ID_BYTES) {
                return Err(fail(format!(
                    "{name} has {} bytes, at most {MAX_ID_BYTES} are taken",
                    id.len()
                )));
            }
        }
        Ok(Self { raw, ..event })
    }
}

impl Message for Event {
    const NAME: &'static str = "event";

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_value(super::decode_json(Self::NAME, bytes)?)
    }

    fn trace_id(&self) -> &str {
        &self.trace_id
    }
}

/// `payload` or `data`; `data` may be a string that holds JSON.
fn payload_of(object: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let (name, value) = match (object.get("payload"), object.get("data")) {
        (Some(payload), None | Some(Value::Null)) => ("payload", payload),
        (Some(payload @ Value::Object(_)), _) => ("payload", payload),
        (_, Some(data)) => ("data", data),
        (None, None) => return Ok(Map::new()),
    };
    match value {
        Value::Object(object) => Ok(object.clone()),
        Value::Null => Ok(Map::new()),
        Value::String(text) if text.trim().is_empty() => Ok(Map::new()),
        Value::String(text) => match super::parse(text.as_bytes()) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(other) => Err(format!("{name} is a string that holds {}, not an object", kind(&other))),
            Err(error) => Err(format!("{name} is a string that is no JSON: {error}")),
        },
        other => Err(format!("{name} is {}, not an object", kind(other))),
    }
}

fn attachments_of(value: Option<&Value>) -> Vec<String> {
    let entries = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(other) => std::slice::from_ref(other),
    };
    let mut seen = HashSet::new();
    entries
        .iter()
        .map(|entry| match entry {
            Value::String(text) if !text.trim().is_empty() => text.trim().to_owned(),
            other => other.to_string(),
        })
        .filter(|url| seen.insert(url.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(value: Value) -> Event {
        Event::from_value(value).unwrap()
    }

    #[test]
    fn the_flat_event_of_the_operators_guide() {
        let event = Event::decode(br#"{"trace_id":"test-001","event_type":"documentsReceived","event_subtype":"xact","timestamp":"2024-12-31T12:00:00Z","source_system":"test","payload":{"assignmentId":"A123"},"attachments":["https://example.com/test.pdf"]}"#).unwrap();
        assert_eq!(event.trace_id, "test-001");
        assert_eq!(event.status_subtype, "documentsReceived");
        assert_eq!(event.assignment_id.as_deref(), Some("A123"));
        assert_eq!(event.attachments, ["https://example.com/test.pdf"]);
        assert_eq!(event.timestamp, "2024-12-31T12:00:00Z".parse().ok());
    }

    #[test]
    fn a_dotted_event_with_data_as_object_or_as_string_reads_the_same() {
        let data = json!({"assignmentId": 4711, "estimateVersion": 2, "attachments": ["https://a/b.pdf"]});
        let shape = |data: Value| {
            event(
                json!({"type": "verisk.claims.property.xn.estimatePackageReceived", "version": 3,
                "utcDateTime": "2024-12-31T12:00:00Z", "traceId": "t", "data": data}),
            )
        };
        let (object, string) = (shape(data.clone()), shape(json!(data.to_string())));
        assert_eq!(object.status_subtype, "estimatePackageReceived");
        assert_eq!(object.version.as_deref(), Some("3"));
        assert_eq!(object.assignment_id.as_deref(), Some("4711"));
        assert_eq!(object.estimate_version.as_deref(), Some("2"));
        assert_eq!(object.attachments, ["https://a/b.pdf"]);
        assert_eq!(object.payload, string.payload);
        assert_eq!(object.attachments, string.attachments);
    }

    #[test]
    fn the_domain_word_as_type_gives_way_to_the_subtype() {
        let status = |kind: &str| {
            event(json!({"trace_id": "t", "event_type": kind, "event_subtype": "firstNoticeOfLossReceived"}))
                .status_subtype
        };
        assert_eq!(status("xact"), "firstNoticeOfLossReceived");
        assert_eq!(status("verisk.xact"), "firstNoticeOfLossReceived");
        assert_eq!(status("documentsReceived"), "documentsReceived");
    }

    #[test]
    fn a_repeated_url_is_one_attachment_and_odd_entries_stay_visible() {
        let event = event(json!({"trace_id": 7, "event_type": "x",
            "attachments": ["https://a/1.pdf", " https://a/1.pdf ", 5, null, {"url": "u"}, ""]}));
        assert_eq!(event.trace_id, "7");
        assert_eq!(
            event.attachments,
            ["https://a/1.pdf", "5", "null", "{\"url\":\"u\"}", "\"\""]
        );
    }

    #[test]
    fn an_unreadable_timestamp_counts_as_none() {
        assert_eq!(
            event(json!({"trace_id": "t", "event_type": "x", "timestamp": "soon"})).timestamp,
            None
        );
    }

    #[test]
    fn what_is_no_event_says_why() {
        for (bytes, reason) in [
            (&b"\xff\xfe"[..], "unreadable event"),
            (b"[]", "found a list"),
            (b"{}", "trace_id / traceId is missing or blank"),
            (br#"{"trace_id":"  ","event_type":"x"}"#, "trace_id"),
            (br#"{"trace_id":"t"}"#, "event_type / type is missing"),
            (
                br#"{"trace_id":"t","type":"x","data":"{"}"#,
                "data is a string that is no JSON",
            ),
            (br#"{"trace_id":"t","type":"x","data":[]}"#, "data is a list"),
        ] {
            let error = Event::decode(bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn an_id_of_absurd_length_is_refused_and_named() {
        for name in ["trace_id", "event_type", "event_subtype"] {
            let mut value = json!({"trace_id": "t", "event_type": "x"});
            value[name] = "x".repeat(MAX_ID_BYTES + 1).into();
            let error = Event::from_value(value).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} has 1025 bytes")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Event::decode(&bytes);
        }

        #[test]
        fn deep_nesting_is_an_error_and_no_overflow(depth in 100_usize..5000) {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let _ = Event::decode(format!(r#"{{"trace_id":"t","type":"x","data":{text}}}"#).as_bytes());
        }
    }
}
