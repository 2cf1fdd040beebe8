//! The three forms of an expiry, valid and invalid.

use jiff::Timestamp;
use proptest::prelude::*;
use url::Url;

use crate::cases::rows;
use xact_contracts::presigned::{expiry, start};

fn url(query: &str) -> Url {
    Url::parse(&format!("https://claimxperience.com/a.pdf?{query}")).unwrap()
}

/// The kind and the end of a URL's validity.
fn of(query: &str) -> Option<String> {
    expiry(&url(query)).map(|expiry| format!("{:?} {}", expiry.kind, expiry.expires_at))
}

#[test]
fn every_spelling_is_read() {
    let table = "
        X-Amz-Date=20240101T000000Z&X-Amz-Expires=604800&X-Amz-Signature=a → S3 → 2024-01-08T00:00:00Z
        x-amz-expires=60&x-amz-date=20241231T235930Z → S3 → 2025-01-01T00:00:30Z
        X-Amz-Date=20240229T120000Z&X-Amz-Expires=0 → S3 → 2024-02-29T12:00:00Z
        AWSAccessKeyId=AKIA&Signature=a%3D&Expires=1704067200 → S3 → 2024-01-01T00:00:00Z
        sv=2022-11-02&se=2024-01-01T00%3A00%3A00Z&sr=b&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        se=2024-01-01T00:00:00Z&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        se=2024-01-01T12:30Z&sig=abc → AzureSas → 2024-01-01T12:30:00Z
        se=2024-01-01T12:30:15.5Z&sig=abc → AzureSas → 2024-01-01T12:30:15.5Z
        se=2024-01-01T02:00:00%2B02:00&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        se=2024-01-01T02:00:00+02:00&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        se=2024-01-01&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        se=2024-01-01T12:00:00&sig=abc → AzureSas → 2024-01-01T12:00:00Z
        systemDate=1704067200000&expires=600000 → ClaimX → 2024-01-01T00:10:00Z
        expires=1&systemDate=1704067200000&sign=x → ClaimX → 2024-01-01T00:00:00.001Z
    ";
    for [query, kind, expires_at] in rows(table) {
        assert_eq!(of(query), Some(format!("{kind} {expires_at}")), "{query}");
    }
}

#[test]
fn invalid_or_absent_values_give_no_expiry() {
    let table = [
        "",
        "X-Amz-Date=20240101T000000Z",
        "X-Amz-Expires=60",
        "X-Amz-Date=&X-Amz-Expires=60",
        "X-Amz-Date=20241301T000000Z&X-Amz-Expires=60",
        "X-Amz-Date=20230229T000000Z&X-Amz-Expires=60",
        "X-Amz-Date=2024-01-01T00:00:00Z&X-Amz-Expires=60",
        "X-Amz-Date=20240101T000000&X-Amz-Expires=60",
        "X-Amz-Date=20240101T0000000&X-Amz-Expires=60",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=-60",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=%2B60",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=6.5",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=9223372036854775807",
        "X-Amz-Date=20240101T000000Z&X-Amz-Expires=99999999999999999999",
        "X-Amz-Date=99991231T235959Z&X-Amz-Expires=604800",
        "Expires=1704067200",
        "Expires=1704067200&Signature=a",
        "Expires=9223372036854775807&Signature=a&AWSAccessKeyId=b",
        "se=2024-01-01T00:00:00Z",
        "se=&sig=a",
        "se=tomorrow&sig=a",
        "se=2024-13-01&sig=a",
        "se=2024-01-01T25:00:00Z&sig=a",
        "se=-000001-01-01T00:00:00Z&sig=a",
        "X-Amz-Date=00000101T000000Z&X-Amz-Expires=60",
        "systemDate=1704067200000",
        "systemDate=x&expires=1",
        "systemDate=9223372036854775807&expires=1",
        "systemDate=9223372036854775807&expires=0",
        "systemDate=-1&expires=1",
        "systemDate=1704067200000&expires=1e3",
    ];
    for query in table {
        assert_eq!(of(query), None, "{query}");
    }
}

#[test]
fn a_url_is_expired_from_its_last_instant_on() {
    let expiry = expiry(&url("systemDate=1000&expires=1000")).unwrap();
    let at = |millisecond| Timestamp::from_millisecond(millisecond).unwrap();
    assert!(!expiry.is_expired(at(1999)));
    assert!(expiry.is_expired(at(2000)));
    assert!(expiry.is_expired(at(2001)));
}

#[test]
fn the_start_is_read_where_the_url_names_one() {
    let of = |query: &str| start(&url(query)).map(|start| format!("{:?} {}", start.kind, start.at));
    let table = "
        X-Amz-Date=20240101T000000Z&X-Amz-Expires=604800&X-Amz-Signature=a → S3 → 2024-01-01T00:00:00Z
        x-amz-date=20240101T000000Z → S3 → 2024-01-01T00:00:00Z
        st=2024-01-01T00%3A00%3A00Z&se=2024-01-02T00:00:00Z&sig=abc → AzureSas → 2024-01-01T00:00:00Z
        ST=2024-01-01&Sig=abc → AzureSas → 2024-01-01T00:00:00Z
        st=2024-01-01T02:00:00+02:00&sig=abc → AzureSas → 2024-01-01T00:00:00Z
    ";
    for [query, kind, at] in rows(table) {
        assert_eq!(of(query), Some(format!("{kind} {at}")), "{query}");
    }
    for query in [
        "st=2024-01-01",
        "st=soon&sig=abc",
        "st=-000001-01-01T00:00:00Z&sig=a",
        "se=2024-01-01&sig=abc",
        "X-Amz-Date=20241301T000000Z",
        "X-Amz-Expires=60",
        "AWSAccessKeyId=AKIA&Signature=a%3D&Expires=1704067200",
        "systemDate=1704067200000&expires=600000",
        "",
    ] {
        assert_eq!(of(query), None, "{query}");
    }
}

#[test]
fn a_start_is_ahead_by_the_rules_of_its_service() {
    let azure = start(&url("st=2024-01-01T12:00:00Z&sig=a")).unwrap();
    let s3 = start(&url("X-Amz-Date=20240101T120000Z")).unwrap();
    // The time, whether Azure and S3 certainly refuse the URL, and whether they may.
    for (now, azure_ahead, s3_ahead, may_be) in [
        ("11:00:00", true, true, true),
        ("11:44:59", true, true, true),
        ("11:45:00", true, false, true),
        ("11:59:59", true, false, true),
        ("12:00:00", false, false, true),
        ("12:14:59", false, false, true),
        ("12:15:00", false, false, false),
        ("13:00:00", false, false, false),
    ] {
        let now = format!("2024-01-01T{now}Z").parse().unwrap();
        let found = [azure, s3].map(|start| (start.is_ahead(now), start.may_be_ahead(now)));
        assert_eq!(found, [(azure_ahead, may_be), (s3_ahead, may_be)], "{now}");
    }
}

proptest! {
    #[test]
    fn any_query_is_read_without_panic(a in ".{0,30}", b in ".{0,30}", c in "[0-9TZ:.+-]{0,24}", n: i64, m: i64) {
        for query in [
            format!("{a}={b}&{c}"),
            format!("X-Amz-Date={c}&X-Amz-Expires={n}"),
            format!("se={c}&sig={a}"),
            format!("systemDate={n}&expires={m}"),
            format!("AWSAccessKeyId=a&Signature=b&Expires={n}"),
        ] {
            let _ = (of(&query), start(&url(&query)));
        }
    }

    #[test]
    fn the_claimx_expiry_is_the_sum_of_its_two_numbers(date in 0_i64..=4_000_000_000_000, valid_for in 0_i64..=4_000_000_000_000) {
        let url = url(&format!("systemDate={date}&expires={valid_for}"));
        prop_assert_eq!(expiry(&url).unwrap().expires_at.as_millisecond(), date + valid_for);
    }
}
