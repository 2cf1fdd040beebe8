use proptest::prelude::*;
use serde_json::json;

use super::*;

// By value: the calls read better.
#[allow(clippy::needless_pass_by_value)]
fn event(value: Value) -> Event {
    Event::from_value(&value).unwrap()
}

#[test]
fn a_flat_event() {
    let event = event(
        json!({"trace_id": "test-001", "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "test", "payload": {"assignmentId": "A123"},
        "attachments": ["https://example.com/test.pdf"]}),
    );
    assert_eq!(event.trace_id, "test-001");
    assert_eq!(event.status_subtype, "documentsReceived");
    assert_eq!(event.assignment_id.as_deref(), Some("A123"));
    assert_eq!(event.attachments, ["https://example.com/test.pdf"]);
    assert_eq!(event.timestamp, "2024-12-31T12:00:00Z".parse().ok());
}

#[test]
fn a_dotted_event_with_data_as_object_or_as_string_reads_the_same() {
    let data = json!({"assignmentId": 4711, "estimateVersion": 2, "attachments": ["https://a/b.pdf"]});
    for data in [json!(data.to_string()), data] {
        let event = event(
            json!({"type": "verisk.claims.property.xn.estimatePackageReceived", "version": 3,
            "utcDateTime": "2024-12-31T12:00:00Z", "traceId": "t", "data": data}),
        );
        assert_eq!(event.status_subtype, "estimatePackageReceived");
        assert_eq!(event.version.as_deref(), Some("3"));
        assert_eq!(event.assignment_id.as_deref(), Some("4711"));
        assert_eq!(event.estimate_version.as_deref(), Some("2"));
        assert_eq!(event.attachments, ["https://a/b.pdf"]);
        assert_eq!(event.inner.parse()[0].text(&["estimateVersion"]).as_deref(), Some("2"));
    }
}

#[test]
fn the_domain_word_as_type_gives_way_to_the_subtype() {
    let status = |kind: &str| {
        event(json!({"trace_id": "t", "event_type": kind, "event_subtype": "firstNoticeOfLossReceived"})).status_subtype
    };
    assert_eq!(status("xact"), "firstNoticeOfLossReceived");
    assert_eq!(status("verisk.xact"), "firstNoticeOfLossReceived");
    assert_eq!(status("documentsReceived"), "documentsReceived");
}

#[test]
fn a_repeated_url_is_one_attachment_and_invalid_entries_are_kept() {
    let event = event(json!({"trace_id": 7, "event_type": "x",
        "attachments": ["https://a/1.pdf", " https://a/1.pdf ", 5, null, {"url": "u"}, ""]}));
    assert_eq!(event.trace_id, "7");
    assert_eq!(
        event.attachments,
        ["https://a/1.pdf", "5", "null", "{\"url\":\"u\"}", "\"\""]
    );
}

fn decode(text: &str) -> Event {
    Event::decode(text.as_bytes()).unwrap()
}

#[test]
fn a_null_empty_or_wrong_outer_value_gives_way_to_the_inner_one() {
    let list = json!(["https://h/a.pdf"]);
    let inside = json!({"assignmentId": "A", "attachments": list});
    let text = json!(inside.to_string());
    for nothing in json!([null, [], "", " ", {}, 7, true, [null, " "]]).as_array().unwrap() {
        for value in [
            json!({"attachments": nothing, "payload": inside}),
            json!({"attachments": nothing, "data": inside}),
            json!({"attachments": nothing, "data": text}),
            json!({"payload": nothing, "data": inside}),
            json!({"payload": nothing, "data": text}),
            json!({"payload": inside, "data": nothing}),
            json!({"payload": text, "data": nothing}),
            json!({"payload": {"attachments": nothing, "note": "n"}, "data": inside}),
            json!({"payload": {"assignmentId": "A"}, "data": {"attachments": list}}),
        ] {
            let mut value = value;
            value["trace_id"] = "t".into();
            value["type"] = "x".into();
            let event = event(value.clone());
            assert_eq!(event.attachments, ["https://h/a.pdf"], "{value}");
            assert_eq!(event.assignment_id.as_deref(), Some("A"), "{value}");
            assert_eq!(event.irregularities, Irregularities::default(), "{value}");
        }
    }
}

#[test]
fn an_invalid_value_without_alternative_is_refused_with_a_reason() {
    for (wrong, kept) in [
        (json!(7), "7"),
        (json!({"u": 1}), r#"{"u":1}"#),
        (json!([null]), "null"),
    ] {
        let event = event(json!({"trace_id": "t", "type": "x", "attachments": wrong, "payload": {"attachments": []}}));
        assert_eq!(event.attachments, [kept]);
    }
    for wrong in [json!([]), json!(7), json!("{"), json!("[]")] {
        let value = json!({"trace_id": "t", "type": "x", "payload": wrong, "data": null});
        assert!(Event::from_value(&value).is_err(), "{value}");
        assert!(Event::from_value(&json!({"trace_id": "t", "type": "x", "payload": wrong, "data": {}})).is_ok());
    }
}

#[test]
fn names_are_recognised_in_any_case() {
    for text in [
        r#"{"TraceId":"t","EventType":"x","Timestamp":"2024-12-31T12:00:00Z","SourceSystem":"s","Payload":{"AssignmentId":"A","EstimateVersion":1,"Attachments":["https://h/a.pdf"]}}"#,
        r#"{"TRACE_ID":"t","TYPE":"x","UTCDATETIME":"2024-12-31T12:00:00Z","SOURCE_SYSTEM":"s","DATA":{"ASSIGNMENT_ID":"A","ESTIMATE_VERSION":1,"ATTACHMENTS":["https://h/a.pdf"]}}"#,
        r#"{"traceid":"t","eventtype":"x","utcdatetime":"2024-12-31T12:00:00Z","sourcesystem":"s","attachments":["https://h/a.pdf"],"data":"{\"assignmentid\":\"A\",\"estimateversion\":1}"}"#,
    ] {
        let event = decode(text);
        assert_eq!((event.trace_id.as_str(), event.event_type.as_str()), ("t", "x"));
        assert_eq!(event.timestamp, "2024-12-31T12:00:00Z".parse().ok());
        assert_eq!(event.source_system.as_deref(), Some("s"));
        assert_eq!(event.assignment_id.as_deref(), Some("A"));
        assert_eq!(event.estimate_version.as_deref(), Some("1"));
        assert_eq!(event.attachments, ["https://h/a.pdf"]);
        assert_eq!(event.irregularities, Irregularities::default());
    }
    // The exact name counts, if it has a value.
    let event =
        decode(r#"{"trace_id":"t","Trace_Id":"other","type":"x","attachments":[],"Attachments":["https://h/a.pdf"]}"#);
    assert_eq!((event.trace_id.as_str(), event.attachments.len()), ("t", 1));
}

#[test]
fn urls_outside_of_the_list_are_reported_in_every_position() {
    let table = r#"
        "documents":["https://h/a.pdf?sig=PLANTED"] → $.documents[*]
        "payload":{"files":[{"Url":"HTTPS://h/b.pdf"},{"Url":"http://h/c.pdf"}]} → $.payload.files[*].Url
        "data":"{\"links\":{\"self\":\"https://h/s\"}}" → $.data.links.self
        "data":{"note":"see https://h/a.pdf, and more"} → $.data.note
        "attachments":["https://h/a.pdf"],"data":{"attachments":["https://h/b.pdf"]} → $.data.attachments[*]
        "attachments":["https://h/a.pdf"],"data":{"attachments":["https://h/a.pdf"]} → -
        "attachments":["https://h/a b.pdf"],"copy":" https://h/a b.pdf " → -
        "attachments":["https://h/a.pdf?to=https://h/b"],"copy":"https://h/a.pdf?to=https://h/b" → -
        "files":{"https://h/a?sig=PLANTED":1} → $.files.https://h/a
        "attachments":[{"url":"https://h/a.pdf"}] → -
        "note":"abfss://h/a ftp://h/b http:/h https:h ://" → -
    "#;
    for line in table.trim().lines() {
        let (rest, path) = line.trim().split_once(" → ").unwrap();
        let event = decode(&format!(r#"{{"trace_id":"t","type":"x",{rest}}}"#));
        let paths = event.irregularities.unlisted_urls.join(" ");
        assert_eq!(paths, path.trim_matches('-'), "{rest}");
    }
    let many: String = (0..500)
        .map(|number| format!(r#","f{number}":"https://h/{number}""#))
        .collect();
    let event = decode(&format!(r#"{{"trace_id":"t","type":"x"{many}}}"#));
    assert_eq!(event.irregularities.unlisted_urls.len(), 100);
}

#[test]
fn numbers_and_characters_stay_as_they_came() {
    let written = "\u{FEFF}{ \"trace_id\" : 123456789012345678901,\"type\":\"x\",\"amount\":0.10,\"amount\":1e400,\"data\":{\"assignmentId\":18446744073709551616,\"note\":\"cut \\ud83d\",\"note\":\"last \\uDC00\"}}\n";
    let event = decode(written);
    assert_eq!(event.trace_id, "123456789012345678901");
    assert_eq!(event.assignment_id.as_deref(), Some("18446744073709551616"));
    assert_eq!(event.inner.parse()[0].text(&["note"]).as_deref(), Some("last \u{FFFD}"));
    assert_eq!(event.raw, written.trim_start_matches('\u{FEFF}'));
    assert_eq!(event.irregularities.repeated_names, ["$.amount", "$.data.note"]);
    let with_mark = json!({"trace_id": "t", "type": "x", "data": "\u{FEFF}{\"assignmentId\":\"A\"}"});
    let event = Event::from_value(&with_mark).unwrap();
    assert_eq!(event.assignment_id.as_deref(), Some("A"));
}

#[test]
fn a_name_that_occurs_twice_is_reported_in_small_and_large_objects() {
    for others in [0, 14, 15, 16, 40] {
        let others: String = (0..others).map(|number| format!(r#""f{number}":0,"#)).collect();
        let event = decode(&format!(
            r#"{{"trace_id":"t","type":"x","data":{{"note":1,{others}"note":2}}}}"#
        ));
        assert_eq!(event.irregularities.repeated_names, ["$.data.note"], "{others}");
    }
}

#[test]
fn a_refused_timestamp_counts_as_absent_and_is_reported() {
    for (written, reason) in [
        ("\"soon\"", TimestampError::Unreadable),
        ("\"0001-01-01T00:00:00\"", TimestampError::OutOfRange),
        ("[]", TimestampError::Unreadable),
    ] {
        let event = decode(&format!(r#"{{"trace_id":"t","event_type":"x","timestamp":{written}}}"#));
        assert_eq!(event.timestamp, None);
        let refused = event.irregularities.timestamp.unwrap();
        assert_eq!((refused.written.as_str(), refused.reason), (written, reason));
    }
    let other = decode(r#"{"trace_id":"t","event_type":"x","timestamp":"soon","utcDateTime":"2024-12-31T12:00:00Z"}"#);
    assert_eq!(other.timestamp, "2024-12-31T12:00:00Z".parse().ok());
    assert_eq!(other.irregularities, Irregularities::default());
    for absent in ["null", "\" \""] {
        let event = decode(&format!(r#"{{"trace_id":"t","event_type":"x","timestamp":{absent}}}"#));
        let found = (event.timestamp, event.irregularities);
        assert_eq!(found, (None, Irregularities::default()));
    }
}

#[test]
fn the_error_for_a_value_that_is_not_an_event_has_the_reason() {
    for (bytes, reason) in [
        (&b"\xff\xfe"[..], "unreadable event"),
        (b"[]", "found a list"),
        (b"{}", "trace_id / traceId is missing or blank"),
        (br#"{"trace_id":"  ","event_type":"x"}"#, "trace_id"),
        (br#"{"trace_id":"t"}"#, "event_type / type is missing"),
        (
            br#"{"trace_id":"t","type":"x","data":"{"}"#,
            "a string that is not JSON",
        ),
        (br#"{"trace_id":"t","type":"x","data":[]}"#, "data is a list"),
    ] {
        let error = Event::decode(bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_too_long_id_is_refused_and_named() {
    for name in ["trace_id", "event_type", "event_subtype"] {
        let mut value = json!({"trace_id": "t", "event_type": "x"});
        value[name] = "x".repeat(MAX_ID_BYTES + 1).into();
        let error = Event::from_value(&value).unwrap_err().to_string();
        assert!(error.contains(&format!("{name} has 1025 bytes")), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::decode(&bytes);
    }

    #[test]
    fn deep_nesting_is_an_error_without_stack_overflow(depth in 100_usize..5000) {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let _ = Event::decode(format!(r#"{{"trace_id":"t","type":"x","data":{text}}}"#).as_bytes());
    }
}
