use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read_json(json: &str) -> Option<Result<String, TimestampError>> {
    let value: Box<RawValue> = serde_json::from_str(json).unwrap();
    read(&value).map(|read| read.map(format))
}

/// The parts of a text between `|`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim)
}

#[test]
fn every_accepted_form_is_the_same_instant() {
    let texts = "
        2024-12-31T12:00:00Z | 2024-12-31t12:00:00z | 2024-12-31T12:00:00.000Z | 2024-12-31T12:00:00.0000000Z |
        2024-12-31T12:00:00.000000000Z | 2024-12-31T13:00:00+01:00 | 2024-12-31T13:00:00+0100 |
        2024-12-31T13:00:00+01 | 2024-12-31T12:00:00-00:00 | 2024-12-31T12:00:00Z[UTC] |
        2024-12-31T13:00:00+01:00[Europe/Paris] | 2024-12-31T12:00Z | 2024-12-31T12:00 | 2024-12-31 12:00 |
        2024-12-31 12:00:00 | 2024-12-31 12:00:00Z | 2024-12-31 12:00:00 Z | 2024-12-31 12:00:00 UTC |
        2024-12-31 12:00:00.000 GMT | 2024-12-31 12:00:00 +00:00 | 2024-12-31 07:00:00 -0500 |
        2024-12-31T07:00:00.0000000 -05:00 | 2024-12-31 12:00:00.000000+00:00 | 2024-12-31T12:00:00 |
        20241231T120000Z | 20241231120000 | 1735646400 | 1735646400.000 | 1735646400000 | 1735646400000000 |
        1735646400000000000 | 1.7356464E9 | Tue, 31 Dec 2024 12:00:00 GMT | Tue, 31 Dec 2024 07:00:00 -0500 |
        31 Dec 2024 12:00:00 +0000 | /Date(1735646400000)/ | /Date(1735646400000+0100)/ |
        /Date(1735646400000-0500)/ | 12/31/2024 12:00:00 PM | 12/31/2024 12:00 pm | 12/31/2024 12:00:00
    ";
    let numbers = "1735646400 | 1735646400000 | 1735646400000000 | 1735646400000000000 | 1735646400.0";
    let texts = split(texts).chain(["  2024-12-31T12:00:00Z "]).map(|text| json!(text));
    let numbers = split(numbers).map(|number| number.parse().unwrap());
    for value in texts.chain(numbers) {
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
    let times = r#"
        "0001-01-01T00:00:00" | "1899-12-30T00:00:00Z" | "1969-12-31T23:59:59.999Z" |
        "9999-12-31T23:59:59.9999999Z" | "2100-01-01T00:00:00.000001Z" | "9999-12-31 23:59:59" | "9999-12-31" |
        "-000001-01-01T00:00:00Z" | "/Date(-62135596800000)/" | "1/1/0001 12:00:00 AM" | -1 | 99999999999
    "#;
    for json in split(times) {
        assert_eq!(read_json(json), Some(Err(TimestampError::OutOfRange)), "{json}");
    }
    for edge in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        assert!(parse_text(edge).is_some(), "{edge}");
    }
}

#[test]
fn other_values_are_unreadable_and_null_is_absent() {
    let values = r#"
        "soon" | {} | [1735646400] | true | 1e300 | "NaN" | "inf" | "2024-13-01T00:00:00Z" | "2024-W53-2" |
        "2024-366" | "31/12/2024 12:00:00" | "/Date(x)/" | "12:00" | "1 735 646 400" | "0x1"
    "#;
    for json in split(values) {
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
