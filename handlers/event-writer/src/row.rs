//! From an event to its row: every column from its place in the event, whatever JSON type is there.

use contracts::messages::Event;
use contracts::redaction::{redact_json, redact_text, redact_url};
use contracts::{ids, time};
use jiff::Timestamp;
use lake::EventRow;
use serde_json::Value;

/// The row of an event. Nothing in an event can make this fail.
pub(crate) fn of_event(event: &Event, record_timestamp: Option<Timestamp>, now: Timestamp) -> EventRow {
    // An event without a time of its own has that of its record. Redelivered it keeps its date, and so its one row; put on
    // the topic again another day, it is another record and gets another row. Looking for it in all dates that the topic
    // still holds would not make it one event: its attachments are dated by the same rule, in tables of their own.
    let event_timestamp = time::to_microseconds(event.timestamp.or(record_timestamp).unwrap_or(now));
    let column = |path: &[&str]| text_at(&event.payload, path);
    let phone = |name| column(&["contact", "contactMethods", "phone", name]);
    let mut raw = event.raw.clone();
    redact_json(&mut raw);
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
        raw_json: Some(raw.to_string()),
    }
}

/// The text at a path of the payload; a value of another type as its JSON text. Names may also be spelled with
/// underscores, as flat events do.
fn text_at(payload: &serde_json::Map<String, Value>, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let mut value = member(payload, first)?;
    for name in rest {
        value = member(value.as_object()?, name)?;
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(redact_text(text)),
        other => {
            let mut other = other.clone();
            redact_json(&mut other);
            Some(other.to_string())
        }
    }
}

fn member<'a>(object: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let mut snake = String::with_capacity(name.len() + 4);
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        object.get(&snake)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_column_has_its_place_and_no_type_fails() {
        let event = Event::from_value(json!({
            "type": "verisk.claims.property.xn.documentsReceived", "version": 3, "traceId": "t",
            "utcDateTime": "2024-12-31T23:30:00-02:00",
            "data": {"assignmentId": "A1", "note": 17, "author": {"first": "Ada"}, "description": true, "carrier_id": "C",
                "dateTime": "2024-12-31T16:30:00", "adm": {"coverageLoss": {"claimNumber": "CL-1"}},
                "contact": {"type": "insured", "name": "N", "contactMethods": {"phone": {"type": "cell", "number": 555, "extension": null},
                    "email": {"address": "a@b"}}},
                "attachments": ["https://h/a.pdf?X-Amz-Signature=PLANTED", "https://h/b.pdf"]}}))
        .unwrap();
        let row = of_event(&event, None, Timestamp::UNIX_EPOCH);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        assert_eq!(row.event_date.to_string(), "2025-01-01");
        assert_eq!(text(&row.note), "17");
        assert_eq!(text(&row.author), r#"{"first":"Ada"}"#);
        assert_eq!(text(&row.description), "true");
        assert_eq!(text(&row.carrier_id), "C");
        assert_eq!(text(&row.claim_number), "CL-1");
        assert_eq!(text(&row.contact_phone_number), "555");
        assert_eq!(row.contact_phone_extension, None);
        assert_eq!(text(&row.contact_email_address), "a@b");
        assert_eq!(text(&row.version), "3");
        assert_eq!(text(&row.attachments), "https://h/a.pdf,https://h/b.pdf");
        assert!(!text(&row.raw_json).contains("PLANTED"));
    }

    #[test]
    fn an_event_without_a_timestamp_takes_the_records() {
        let event = Event::from_value(json!({"trace_id": "t", "event_type": "x"})).unwrap();
        let written: Timestamp = "2024-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(
            of_event(&event, Some(written), Timestamp::UNIX_EPOCH).event_timestamp,
            written
        );
    }
}
