use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read_json(json: &str) -> Option<Result<String, TimestampError>> {
    let value: Box<RawValue> = serde_json::from_str(json).unwrap();
    read(&value).map(|read| read.map(format))
}

#[test]
fn every_accepted_form_is_the_same_instant() {
    for value in [
        json!("2024-12-31T12:00:00Z"),
        json!("2024-12-31t12:00:00z"),
        json!("2024-12-31T12:00:00.000Z"),
        json!("2024-12-31T12:00:00.0000000Z"),
        json!("2024-12-31T12:00:00.000000000Z"),
        json!("2024-12-31T13:00:00+01:00"),
        json!("2024-12-31T13:00:00+0100"),
        json!("2024-12-31T13:00:00+01"),
        json!("2024-12-31T12:00:00-00:00"),
        json!("2024-12-31T12:00:00Z[UTC]"),
        json!("2024-12-31T13:00:00+01:00[Europe/Paris]"),
        json!("2024-12-31T12:00Z"),
        json!("2024-12-31T12:00"),
        json!("2024-12-31 12:00"),
        json!("2024-12-31 12:00:00"),
        json!("2024-12-31 12:00:00Z"),
        json!("2024-12-31 12:00:00 Z"),
        json!("2024-12-31 12:00:00 UTC"),
        json!("2024-12-31 12:00:00.000 GMT"),
        json!("2024-12-31 12:00:00 +00:00"),
        json!("2024-12-31 07:00:00 -0500"),
        json!("2024-12-31T07:00:00.0000000 -05:00"),
        json!("2024-12-31 12:00:00.000000+00:00"),
        json!("2024-12-31T12:00:00"),
        json!("20241231T120000Z"),
        json!("20241231120000"),
        json!("  2024-12-31T12:00:00Z "),
        json!(1_735_646_400),
        json!(1_735_646_400_000_i64),
        json!(1_735_646_400_000_000_i64),
        json!(1_735_646_400_000_000_000_i64),
        json!("1735646400"),
        json!("1735646400.000"),
        json!("1735646400000"),
        json!("1735646400000000"),
        json!("1735646400000000000"),
        json!("1.7356464E9"),
        json!(1_735_646_400.0),
        json!("Tue, 31 Dec 2024 12:00:00 GMT"),
        json!("Tue, 31 Dec 2024 07:00:00 -0500"),
        json!("31 Dec 2024 12:00:00 +0000"),
        json!("/Date(1735646400000)/"),
        json!("/Date(1735646400000+0100)/"),
        json!("/Date(1735646400000-0500)/"),
        json!("12/31/2024 12:00:00 PM"),
        json!("12/31/2024 12:00 pm"),
        json!("12/31/2024 12:00:00"),
    ] {
        let read = parse(&value).map(format);
        assert_eq!(read.as_deref(), Some("2024-12-31T12:00:00.000000Z"), "{value}");
        assert_eq!(read_json(&value.to_string()), read.map(Ok), "{value}");
    }
}

#[test]
fn a_date_alone_is_its_midnight_and_us_dates_need_no_leading_zeros() {
    for (text, instant) in [
        ("2024-12-31", "2024-12-31T00:00:00.000000Z"),
        ("20241231", "2024-12-31T00:00:00.000000Z"),
        ("3/2/2026", "2026-03-02T00:00:00.000000Z"),
        ("3/2/2026 1:05:09 AM", "2026-03-02T01:05:09.000000Z"),
        ("03/02/2026 12:00:00 AM", "2026-03-02T00:00:00.000000Z"),
    ] {
        assert_eq!(parse_text(text).map(format).as_deref(), Some(instant), "{text}");
    }
}

#[test]
fn fractions_keep_microseconds_whatever_the_unit() {
    for (json, instant) in [
        (r#""2024-12-31T12:00:00.1234567Z""#, "2024-12-31T12:00:00.123456Z"),
        (r#""2024-12-31T12:00:00.1""#, "2024-12-31T12:00:00.100000Z"),
        ("1735646400.123456", "2024-12-31T12:00:00.123456Z"),
        ("1735646400123.5", "2024-12-31T12:00:00.123500Z"),
        ("1735646400123456", "2024-12-31T12:00:00.123456Z"),
        ("1735646400123456789", "2024-12-31T12:00:00.123456Z"),
    ] {
        assert_eq!(read_json(json), Some(Ok(instant.to_owned())), "{json}");
    }
}

#[test]
fn defaults_of_programs_and_distant_times_are_out_of_range() {
    for json in [
        r#""0001-01-01T00:00:00""#,
        r#""1899-12-30T00:00:00Z""#,
        r#""1969-12-31T23:59:59.999Z""#,
        r#""9999-12-31T23:59:59.9999999Z""#,
        r#""2100-01-01T00:00:00.000001Z""#,
        r#""9999-12-31 23:59:59""#,
        r#""9999-12-31""#,
        r#""-000001-01-01T00:00:00Z""#,
        r#""/Date(-62135596800000)/""#,
        r#""1/1/0001 12:00:00 AM""#,
        "-1",
        "99999999999",
    ] {
        assert_eq!(read_json(json), Some(Err(TimestampError::OutOfRange)), "{json}");
    }
    for edge in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        assert!(parse_text(edge).is_some(), "{edge}");
    }
}

#[test]
fn other_values_are_unreadable_and_null_is_absent() {
    for json in [
        r#""soon""#,
        "{}",
        "[1735646400]",
        "true",
        "1e300",
        r#""NaN""#,
        r#""inf""#,
        r#""2024-13-01T00:00:00Z""#,
        r#""2024-W53-2""#,
        r#""2024-366""#,
        r#""31/12/2024 12:00:00""#,
        r#""/Date(x)/""#,
        r#""12:00""#,
        r#""1 735 646 400""#,
        r#""0x1""#,
    ] {
        assert_eq!(read_json(json), Some(Err(TimestampError::Unreadable)), "{json}");
    }
    for json in ["null", r#""""#, r#"" ""#] {
        assert_eq!(read_json(json), None, "{json}");
    }
}

#[test]
fn a_required_timestamp_out_of_range_is_at_its_end() {
    #[derive(serde::Deserialize)]
    struct Message {
        #[serde(with = "super")]
        at: Timestamp,
    }
    for (text, read) in [("0001-01-01T00:00:00Z", EARLIEST), ("9999-12-31T23:59:59Z", LATEST)] {
        let message: Message = serde_json::from_value(json!({"at": text})).unwrap();
        assert_eq!(message.at, read);
    }
    assert!(serde_json::from_value::<Message>(json!({"at": "soon"})).is_err());
}

proptest! {
    #[test]
    fn a_written_timestamp_is_read_back(micros in 0_i64..4_102_444_800_000_000) {
        let timestamp = Timestamp::from_microsecond(micros).unwrap();
        prop_assert_eq!(parse_text(&format(timestamp)), Some(timestamp));
    }

    #[test]
    fn never_panics(text in ".*", number in any::<f64>(), digits in "-?[0-9]{0,40}(\\.[0-9]{0,20})?([eE][0-9]{0,4})?") {
        let _ = parse_text(&text);
        let _ = parse_text(&digits);
        let _ = parse(&json!(number));
    }
}
