//! Secrets are removed, and all else is kept.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cases::{one_of, rows};
use xact_contracts::redaction::{redact_json, redact_text, redact_url, truncate_error};

#[test]
fn urls_lose_query_fragment_and_user() {
    let table = r"
        https://h.example/a.pdf?X-Amz-Signature=abc&b=c → https://h.example/a.pdf
        https://h.example:8443/a%20b.pdf#frag → https://h.example:8443/a%20b.pdf
        https://h.example/a.pdf → https://h.example/a.pdf
        https://h.example → https://h.example
        https://h.example?sig=abc → https://h.example
        https://user:password@h.example/a.pdf?x → https://h.example/a.pdf
        https://user@h.example/a@b.pdf → https://h.example/a@b.pdf
        https:///user:password@h.example/ → https:///h.example/
        https:\\user:password@h.example\a?x → https:\\h.example\a
        abfss://ws@onelake.dfs.fabric.microsoft.com/lh/Files → abfss://onelake.dfs.fabric.microsoft.com/lh/Files
        not a url?sig=abc → not a url
        not a url → not a url
        user:password@h.example/a?x → user:h.example/a
        https://user:pa/ss@h.example/a?x → https://h.example/a
        https://user:pa?ss@h.example/a → https://[redacted]
        https://h.example/https://u:p@i.example/a → https://i.example/a
        o:/\@/\@{i>{i → o:/{i>{i
        ?sig=abc → [redacted]
        #abc → [redacted]
        user:password@ → user:
        password@ → [redacted]
        https://h.example:port/a?mail=a@b&token=c → https://[redacted]
        https://h.example/a.pdf%3Fsig%3Dabc → https://h.example/a.pdf%3Fsig%3D[redacted]
        /a.pdf?sig=abc → /a.pdf
    ";
    for [url, expected] in rows(table) {
        assert_eq!(redact_url(url), expected, "{url}");
    }
    assert_eq!(redact_url(""), "");
}

#[test]
fn texts_lose_what_is_secret_and_nothing_else() {
    let table = r#"
        nothing secret: 5 of 10 failed → nothing secret: 5 of 10 failed
        https://h.example/Roof photo 1.jpg?systemDate=1&sign=abc → https://h.example/Roof photo 1.jpg
        got https://h.example/a b.pdf?h=abc, then https://h.example/c d.pdf?h=abc and ended → got https://h.example/a b.pdf then https://h.example/c d.pdf and ended
        see https://h.example/a.pdf for more. Is it right? I think x=1 → see https://h.example/a.pdf for more. Is it right? I think x=1
        error sending request for url (https://h.example/a.pdf?X-Amz-Signature=abc): timed out → error sending request for url (https://h.example/a.pdf): timed out
        see 'https://h.example/a?b=c', then → see 'https://h.example/a', then
        GET https://u:p@h.example/a?b=c 403 → GET https://h.example/a 403
        https://h.example/a?x=1,https://h.example/b?y=2 → https://h.example/a,https://h.example/b
        https://h.example/a?x=1;http://h.example/b?y=2. → https://h.example/a;http://h.example/b.
        <Url>https://h.example/a?x=1</Url> → <Url>https://h.example/a</Url>
        {"url":"https://h.example/a?x=1","b":2} → {"url":"https://h.example/a","b":2}
        {\"url\":\"https://h.example/a?x=1\",\"b\":2} → {\"url\":\"https://h.example/a\",\"b\":2}
        {"url":"https:\/\/h.example\/a?x=1"} → {"url":"https:\/\/h.example\/a"}
        https:/h.example/a?token=1 x → https:/h.example/a x
        größe https://h.example/ü?x=ö ende → größe https://h.example/ü ende
        sig=abc&x=y → sig=[redacted]&x=y
        SIG=abc → SIG=[redacted]
        design=modern assignment=A1 → design=modern assignment=A1
        X-Amz-Signature=abc X-Amz-Credential=AKIA/1/s3&X-Amz-Security-Token=t → X-Amz-Signature=[redacted] X-Amz-Credential=[redacted]&X-Amz-Security-Token=[redacted]
        Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=ab+/c=;EntityPath=t → Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=[redacted];EntityPath=t
        AccountName=a;AccountKey=ab+/c== → AccountName=a;AccountKey=[redacted]
        Authorization: Bearer eyJ.abc.def rest → Authorization: Bearer [redacted] rest
        bearer  eyJ → bearer  [redacted]
        Bearer → Bearer
        client_secret=a~b.c&grant_type=x → client_secret=[redacted]&grant_type=x
        AZURE_CLIENT_SECRET=abc → AZURE_CLIENT_SECRET=[redacted]
        {"client_secret": "a b;c&d","x":1} → {"client_secret": "[redacted]","x":1}
        {\"access_token\":\"abc\"} → {\"access_token\":\"[redacted]\"}
        sig%3Dabc%26x → sig%3D[redacted]
        sig%253Dabc → sig%253D[redacted]
        sig\u003dabc → sig\u003d[redacted]
        <SignatureProvided>abc</SignatureProvided> → <SignatureProvided>[redacted]</SignatureProvided>
        <AWSAccessKeyId>AKIA</AWSAccessKeyId> → <AWSAccessKeyId>[redacted]</AWSAccessKeyId>
        the signature: does not match → the signature: does not match
        token expired at 12:00 → token expired at 12:00
        password = hunter2 → password = [redacted]
    "#;
    for [text, expected] in rows(table) {
        assert_eq!(redact_text(text), expected, "{text}");
    }
    let two_lines = "https://h.example/a\nb.pdf?c=d";
    assert_eq!(redact_text(two_lines), two_lines);
}

#[test]
fn json_trees_are_redacted_at_every_depth() {
    let mut value = json!({
        "attachments": ["https://h.example/a?sig=abc", "https://h.example/b"],
        "payload": {"deep": [{"url": "https://h.example/c?x=1"}], "note": "see https://h.example/d?y=2 now"},
        "text": r#"{"url":"https://h.example/e?z=3"}"#,
        "https://h.example/key?sig=abc": 1,
        "https://h.example/key": 2, "auth": {"client_secret": "abc", "sasToken": "abc", "token": 7, "password": ""},
        "n": 5, "b": true, "nothing": null, "plain": "a",
    });
    redact_json(&mut value);
    assert_eq!(
        value,
        json!({
            "attachments": ["https://h.example/a", "https://h.example/b"],
            "payload": {"deep": [{"url": "https://h.example/c"}], "note": "see https://h.example/d now"},
            "text": r#"{"url":"https://h.example/e"}"#,
            "(2) https://h.example/key": 1,
            "https://h.example/key": 2,
            "auth": {"client_secret": "[redacted]", "sasToken": "[redacted]", "token": 7, "password": ""},
            "n": 5, "b": true, "nothing": null, "plain": "a",
        })
    );
}

/// Each name a character longer than the one before would take gigabytes.
#[test]
fn thousands_of_names_that_become_equal_stay_short() {
    let names = (0..20_000).map(|index| (format!("https://h?{index}"), Value::from(index)));
    let mut value = Value::Object(names.collect());
    let length = value.to_string().len();
    redact_json(&mut value);
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(20_000));
    assert!(value.to_string().len() < 2 * length);
    let once = value.clone();
    redact_json(&mut value);
    assert_eq!(value, once);
}

/// The number is no part of the secret that a name ends in: else it would go when the name is redacted again.
#[test]
fn names_that_become_equal_stay_distinct_when_redacted_again() {
    let mut value = json!({"sig=a": 1, "sig=b": 2, "\"token\":\"a": 3, "\"token\":\"b": 4});
    redact_json(&mut value);
    let once = json!({"sig=[redacted]": 1, "(2) sig=[redacted]": 2, "\"token\":\"[redacted]": 3, "(2) \"token\":\"[redacted]": 4});
    assert_eq!(value, once);
    redact_json(&mut value);
    assert_eq!(value, once);
}

/// What one round takes away may bare what the next one takes; a text that is made for many rounds goes as a whole.
#[test]
fn redaction_repeats_until_nothing_changes() {
    for text in [
        "o:/\\@/\\@{i>{i>",
        "o:/\\@\0o:/\\@\0\0pi>",
        "kkc\t\t:cCCC@\0py://\t:CCCC@\0\0",
    ] {
        assert_eq!(redact_text(&redact_text(text)), redact_text(text), "{text:?}");
        assert_eq!(redact_url(&redact_url(text)), redact_url(text), "{text:?}");
    }
    let nested = format!("{}S3CRET{}", "o:/\\@\0".repeat(50), "@\0".repeat(50));
    assert_eq!(redact_text(&redact_text(&nested)), redact_text(&nested));
}

/// Quadratic work on any of these would take hours.
#[test]
fn a_crafted_megabyte_is_redacted_quickly() {
    let pieces = r#"a, a: sig sig=" bearer https: https://h?, \ "token": é://"#;
    for piece in pieces.split(' ').chain(["bearer "]) {
        let text = format!("https://h.example/a?{}", piece.repeat(1_000_000 / piece.len()));
        assert!(redact_text(&text).len() <= text.len() + 10_000_000, "{piece}");
        assert!(redact_text(&text[20..]).len() <= text.len() + 10_000_000, "{piece}");
    }
}

#[test]
fn error_texts_are_cut_at_500_characters() {
    assert_eq!(truncate_error(&"ü".repeat(500)), "ü".repeat(500));
    assert_eq!(truncate_error(&"ü".repeat(501)), format!("{}...", "ü".repeat(497)));
    assert_eq!(truncate_error(""), "");
}

/// Pieces of URLs, secrets and the punctuation around them.
fn text_like() -> impl Strategy<Value = String> {
    let pieces = r#"
        https:// http: abfss:// :// : / \ @ ? # & = ; , | " ' < > h.example user:password a.pdf sig sig=
        Signature= "token":" Bearer [redacted] %3D %3F \u003d \u0026 ) . ü İ 😀 AccountKey= client_secret= K
        ſig=
    "#;
    let piece = prop_oneof![
        one_of(pieces, &[" ", "\n", "bearer "]),
        "[ -~]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Secrets in the places where they are recognised.
fn plants() -> impl Strategy<Value = String> {
    let plants = r#"
        https://h.example/a.pdf?x=S3CRET https://S3CRET@h.example/a.pdf https://user:S3CRET@h.example/a.pdf
        https://h.example/a.pdf#S3CRET https://h.example/a.pdf?a=b&X-Amz-Signature=S3CRET sig=S3CRET ?sig=S3CRET
        &Signature=S3CRET X-Amz-Credential=S3CRET X-Amz-Security-Token=S3CRET ;SharedAccessKey=S3CRET ;AccountKey=S3CRET
        client_secret=S3CRET {"client_secret":"S3CRET"}
    "#;
    one_of(plants, &["Bearer S3CRET"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn redaction_is_idempotent(text in prop_oneof![text_like(), any::<String>()]) {
        let once = redact_text(&text);
        prop_assert_eq!(redact_text(&once), once);
        let once = redact_url(&text);
        prop_assert_eq!(redact_url(&once), once);
        prop_assert!(truncate_error(&text).chars().count() <= 500);
    }

    #[test]
    fn a_planted_secret_never_survives(before in text_like(), after in text_like(), plant in plants()) {
        let text = format!("{before} {plant}{after}");
        prop_assert!(!redact_text(&text).contains("S3CRET"), "{} -> {}", text, redact_text(&text));
        let mut value = json!({"a": [text.clone()], text: "b"});
        redact_json(&mut value);
        prop_assert!(!value.to_string().contains("S3CRET"), "{}", value);
    }

    #[test]
    fn a_redacted_url_has_no_query_user_or_fragment(before in text_like(), secret in "[a-zA-Z0-9]{8}") {
        for url in [
            format!("https://h.example/{before}?sig={secret}"),
            format!("https://{secret}@h.example/{before}"),
            format!("https://h.example/{before}#{secret}"),
            format!("{before}?{secret}"),
        ] {
            let redacted = redact_url(&url);
            prop_assert!(before.contains(&secret) || !redacted.contains(&secret), "{} -> {}", url, redacted);
        }
    }

    #[test]
    fn json_text_stays_json(text in text_like()) {
        let json = Value::from(vec![text]).to_string();
        let redacted = redact_text(&json);
        prop_assert!(serde_json::from_str::<Value>(&redacted).is_ok(), "{} -> {}", json, redacted);
    }
}
