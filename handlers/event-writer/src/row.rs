//! From an event to its row: each column has a path in the event, and takes any JSON type there.

use jiff::Timestamp;
use serde_json::value::RawValue;

use xact_contracts::json::{self, Kind, Object};
use xact_contracts::messages::Event;
use xact_contracts::redaction::{self, redact_text, redact_url};
use xact_contracts::{ids, time};
use xact_lake::EventRow;

/// Returns the row of an event. It never fails.
///
/// An event without a valid timestamp gets that of its record.
pub(crate) fn of_event(event: &Event, record_timestamp: Option<Timestamp>, now: Timestamp) -> EventRow {
    let event_timestamp = time::to_microseconds(event.timestamp.or(record_timestamp).unwrap_or(now));
    let inner = event.inner.parse();
    let column = |path: &[&str]| text_at(&inner, path);
    let phone = |name| column(&["contact", "contactMethods", "phone", name]);
    let attachments: Vec<String> = event.attachments.iter().map(|url| redact_url(url)).collect();
    EventRow {
        event_id: ids::event_id(&event.trace_id).to_string(),
        trace_id: Some(event.trace_id.clone()),
        r#type: Some(event.event_type.clone()),
        status_subtype: Some(event.status_subtype.clone()),
        version: event.version.clone(),
        event_date: time::utc_date(event_timestamp),
        event_timestamp,
        ingested_at: time::to_microseconds(now),
        description: column(&["description"]),
        assignment_id: event.assignment_id.clone(),
        original_assignment_id: column(&["originalAssignmentId"]),
        xn_address: column(&["xnAddress"]),
        carrier_id: column(&["carrierId"]),
        estimate_version: event.estimate_version.clone(),
        note: column(&["note"]),
        author: column(&["author"]),
        sender_reviewer_name: column(&["senderReviewerName"]),
        sender_reviewer_email: column(&["senderReviewerEmail"]),
        carrier_reviewer_name: column(&["carrierReviewerName"]),
        carrier_reviewer_email: column(&["carrierReviewerEmail"]),
        event_datetime_mdt: column(&["dateTime"]),
        attachments: (!attachments.is_empty()).then(|| attachments.join(",")),
        claim_number: column(&["adm", "coverageLoss", "claimNumber"]),
        contact_type: column(&["contact", "type"]),
        contact_name: column(&["contact", "name"]),
        contact_phone_type: phone("type"),
        contact_phone_number: phone("number"),
        contact_phone_extension: phone("extension"),
        contact_email_address: column(&["contact", "contactMethods", "email", "address"]),
        source_system: event.source_system.clone(),
        raw_json: Some(redaction::redact_json_text(&event.raw)),
    }
}

/// Returns the text at a path, from the first object that has a value there. Values of other types are returned as written.
fn text_at(inner: &[Object<'_>], path: &[&str]) -> Option<String> {
    inner.iter().find_map(|object| text_below(object, path))
}

fn text_below(object: &Object<'_>, path: &[&str]) -> Option<String> {
    let (name, rest) = path.split_first()?;
    object.all(&[name]).find_map(|value| match rest {
        [] => text_of(value),
        rest => text_below(&Object::parse(value.get()).ok()?, rest),
    })
}

fn text_of(value: &RawValue) -> Option<String> {
    match Kind::of(value) {
        Kind::Null => None,
        Kind::String => Some(redact_text(&json::string(value)?)),
        _ => Some(redaction::redact_json_text(value.get())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use xact_contracts::messages::Message;

    #[test]
    fn every_column_is_read_from_its_path_whatever_its_type() {
        let event = Event::from_value(&json!({
            "type": "verisk.claims.property.xn.documentsReceived", "version": 3, "traceId": "t",
            "utcDateTime": "2024-12-31T23:30:00-02:00",
            "data": {"assignmentId": "A1", "note": 17, "author": {"first": "Ada"}, "description": true, "carrier_id": "C",
                "dateTime": "2024-12-31T16:30:00", "adm": {"coverageLoss": {"claimNumber": "CL-1"}},
                "contact": {"type": "insured", "name": "N", "contactMethods": {"phone": {"type": "cell", "number": 555, "extension": null},
                    "email": {"address": "a@b"}}},
                "attachments": ["https://h/a.pdf?X-Amz-Signature=PLANTED", "https://h/b.pdf"]}}))
        .unwrap();
        let row = of_event(&event, None, Timestamp::UNIX_EPOCH);
        assert_eq!(row.event_date.to_string(), "2025-01-01");
        for (column, expected) in [
            (row.note, "17"),
            (row.author, r#"{"first":"Ada"}"#),
            (row.description, "true"),
            (row.carrier_id, "C"),
            (row.claim_number, "CL-1"),
            (row.contact_phone_number, "555"),
            (row.contact_email_address, "a@b"),
            (row.version, "3"),
            (row.attachments, "https://h/a.pdf,https://h/b.pdf"),
        ] {
            assert_eq!(column.as_deref(), Some(expected));
        }
        assert_eq!(row.contact_phone_extension, None);
        assert!(!row.raw_json.unwrap().contains("PLANTED"));
    }

    #[test]
    fn an_event_without_a_timestamp_takes_the_records() {
        let event = Event::from_value(&json!({"trace_id": "t", "event_type": "x"})).unwrap();
        let written: Timestamp = "2024-05-01T00:00:00Z".parse().unwrap();
        let row = of_event(&event, Some(written), Timestamp::UNIX_EPOCH);
        assert_eq!(row.event_timestamp, written);
    }

    #[test]
    fn numbers_keep_their_digits_and_the_event_its_bytes() {
        let written = r#"{ "trace_id":"t", "type":"x", "data": {"Note":123456789012345678901, "author":"cut \ud83d",
            "ADM":{"coverage_loss":{"ClaimNumber":0.10}}, "carrierId":{ "big" : 1E+400, "sig":"PLANTED" } } }"#;
        let row = of_event(&Event::decode(written.as_bytes()).unwrap(), None, Timestamp::UNIX_EPOCH);
        assert_eq!(row.note.as_deref(), Some("123456789012345678901"));
        assert_eq!(row.author.as_deref(), Some("cut \u{FFFD}"));
        assert_eq!(row.claim_number.as_deref(), Some("0.10"));
        let redacted = r#"{ "big" : 1E+400, "sig":"[redacted]" }"#;
        assert_eq!(row.carrier_id.as_deref(), Some(redacted));
        assert_eq!(row.raw_json, Some(written.replace("PLANTED", "[redacted]")));
    }
}
