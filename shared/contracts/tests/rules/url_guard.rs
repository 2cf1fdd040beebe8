//! The rules for URLs and redirects.

use proptest::prelude::*;
use url::Url;

use crate::hostile_urls::HOSTILE;
use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, MAX_URL_BYTES, UrlPolicy, UrlRefusedError, location_text};

fn production() -> UrlPolicy {
    UrlPolicy::new(DEFAULT_ALLOWED_HOSTS)
}

fn development() -> UrlPolicy {
    UrlPolicy::new(DEFAULT_ALLOWED_HOSTS).in_dev_mode()
}

fn any_policy() -> impl Strategy<Value = UrlPolicy> {
    prop_oneof![Just(production()), Just(development())]
}

/// The refusal's name, without its details.
fn reason(refusal: &UrlRefusedError) -> &'static str {
    match refusal {
        UrlRefusedError::TooLong { .. } => "too long",
        UrlRefusedError::Character { .. } => "character",
        UrlRefusedError::Scheme { .. } => "scheme",
        UrlRefusedError::UserInfo => "user info",
        UrlRefusedError::NoHost => "no host",
        UrlRefusedError::EncodedHost => "encoded host",
        UrlRefusedError::NonAsciiHost => "non-ascii host",
        UrlRefusedError::Unparsable { .. } => "unparsable",
        UrlRefusedError::IpLiteral { .. } => "ip",
        UrlRefusedError::Ambiguous => "ambiguous",
        UrlRefusedError::LocalhostOutsideDev => "localhost",
        UrlRefusedError::Port { .. } => "port",
        UrlRefusedError::HostNotAllowed { .. } => "host",
    }
}

#[test]
fn hostile_urls_are_refused_for_the_right_reason() {
    assert!(HOSTILE.len() >= 190, "{}", HOSTILE.len());
    let policy = production();
    let base = Url::parse("https://claimxperience.com/").unwrap();
    let mut wrong = Vec::new();
    for (url, expected) in HOSTILE {
        let checked = policy.check(url);
        let found = checked.as_ref().map_or_else(reason, |_| "accepted");
        if found != *expected {
            wrong.push(format!("{url:?}: {found} instead of {expected}"));
        }
        // An operator is told the same, in the same words.
        let told = policy
            .explain(url)
            .into_iter()
            .find_map(|verdict| verdict.verdict.err());
        assert_eq!(told, checked.err().map(|refusal| refusal.to_string()), "{url:?}");
        // A server that sends us there gets no further: what is read as a path stays on its host.
        if let Ok(redirected) = policy.check_redirect(&base, url) {
            assert_harmless(&redirected, &policy);
            assert_eq!(redirected.host_str(), base.host_str(), "{url:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn real_urls_are_accepted_as_the_url_that_is_fetched() {
    let policy = production();
    let table = [
        (
            "https://claimxperience.com/test.pdf",
            "https://claimxperience.com/test.pdf",
        ),
        (
            "HTTPS://ClaimXperience.COM/Test.pdf",
            "https://claimxperience.com/Test.pdf",
        ),
        (
            "https://claimxperience.com./a.pdf?b=c",
            "https://claimxperience.com/a.pdf?b=c",
        ),
        (
            "https://claimxperience.com.:443/a.pdf",
            "https://claimxperience.com/a.pdf",
        ),
        (
            "https://claimxperience.com:443/a.pdf",
            "https://claimxperience.com/a.pdf",
        ),
        (
            "https://claimxperience.com/a.pdf#page=2",
            "https://claimxperience.com/a.pdf",
        ),
        ("https://claimxperience.com", "https://claimxperience.com/"),
        (
            "https://claimxperience.com?file=a.pdf",
            "https://claimxperience.com/?file=a.pdf",
        ),
        (
            "https://claimxperience.com/a@b.pdf",
            "https://claimxperience.com/a@b.pdf",
        ),
        (
            "https://claimxperience.com/a:b//c.pdf?x=https://evil.example/@",
            "https://claimxperience.com/a:b//c.pdf?x=https://evil.example/@",
        ),
        (
            "https://claimxperience.com/a%20b%2Fc.pdf",
            "https://claimxperience.com/a%20b%2Fc.pdf",
        ),
        (
            "https://claimxperience.com/größe.pdf",
            "https://claimxperience.com/gr%C3%B6%C3%9Fe.pdf",
        ),
        (
            "https://claimxperience.com/Roof photo 1.jpg",
            "https://claimxperience.com/Roof%20photo%201.jpg",
        ),
        (
            "https://claimxperience.com/a  b%20c.pdf?file=d e.pdf&x=ü#f g",
            "https://claimxperience.com/a%20%20b%20c.pdf?file=d%20e.pdf&x=%C3%BC",
        ),
        // What macOS writes into the names of screenshots.
        (
            "https://claimxperience.com/Screenshot 2026-03-02 at 9.41.00\u{202f}AM.png",
            "https://claimxperience.com/Screenshot%202026-03-02%20at%209.41.00%E2%80%AFAM.png",
        ),
        (
            "https://claimxperience.com/a\u{a0}b\u{3000}c.pdf",
            "https://claimxperience.com/a%C2%A0b%E3%80%80c.pdf",
        ),
        (
            "https://claimxperience.com/写真 🏠.jpg",
            "https://claimxperience.com/%E5%86%99%E7%9C%9F%20%F0%9F%8F%A0.jpg",
        ),
        (
            "https://claimxperience.com? a.pdf",
            "https://claimxperience.com/?%20a.pdf",
        ),
        // Dots that a space keeps from being a step upwards.
        (
            "https://claimxperience.com/a/ ../b.pdf",
            "https://claimxperience.com/a/%20../b.pdf",
        ),
        // A plus and an encoded space stay what the signature was made of.
        (
            "https://claimxperience.com/a+b c%2B.pdf?sig=a+b%20c",
            "https://claimxperience.com/a+b%20c%2B.pdf?sig=a+b%20c",
        ),
        (
            "https://claimxperience.s3.amazonaws.com/k/a.pdf?X-Amz-Date=20240101T000000Z&X-Amz-Expires=600&X-Amz-Signature=ab%2Bcd",
            "https://claimxperience.s3.amazonaws.com/k/a.pdf?X-Amz-Date=20240101T000000Z&X-Amz-Expires=600&X-Amz-Signature=ab%2Bcd",
        ),
    ];
    for (raw, fetched) in table {
        assert_eq!(policy.check(raw).map(String::from), Ok(fetched.to_owned()), "{raw}");
    }
    for host in DEFAULT_ALLOWED_HOSTS {
        assert!(policy.check(&format!("https://{host}/a.pdf")).is_ok(), "{host}");
    }
}

#[test]
fn dev_mode_adds_localhost_and_ports_and_nothing_else() {
    let policy = development();
    let table = [
        ("http://localhost/a.pdf", "accepted"),
        ("http://localhost:8080/a.pdf", "accepted"),
        ("http://LocalHost.:8080/a.pdf", "accepted"),
        ("https://localhost:8443/a.pdf", "accepted"),
        ("https://claimxperience.com:8443/a.pdf", "accepted"),
        ("http://claimxperience.com/a.pdf", "scheme"),
        ("http://a.localhost/a.pdf", "scheme"),
        ("https://a.localhost/a.pdf", "localhost"),
        ("http://localhost.evil.example/a.pdf", "scheme"),
        ("http://localhost@evil.example/a.pdf", "scheme"),
        ("http://user@localhost/a.pdf", "scheme"),
        ("http://127.0.0.1/a.pdf", "scheme"),
        ("https://127.0.0.1/a.pdf", "ip"),
        ("http://[::1]/a.pdf", "scheme"),
        ("http://localhost:/a.pdf", "ambiguous"),
        ("ftp://localhost/a.pdf", "scheme"),
        ("https://evil.example/a.pdf", "host"),
    ];
    for (url, expected) in table {
        let found = policy.check(url);
        assert_eq!(found.as_ref().map_or_else(reason, |_| "accepted"), expected, "{url}");
    }
}

#[test]
fn a_listed_localhost_stays_refused_in_production() {
    let policy = UrlPolicy::new(["localhost"]);
    assert_eq!(
        policy.check("https://localhost/a.pdf"),
        Err(UrlRefusedError::LocalhostOutsideDev)
    );
}

#[test]
fn a_foreign_name_is_allowed_by_its_exact_punycode() {
    let policy = UrlPolicy::new(["xn--bcher-kva.example"]);
    assert!(policy.check("https://xn--bcher-kva.example/a.pdf").is_ok());
    assert!(policy.check("https://XN--bcher-KVA.example/a.pdf").is_ok());
    assert_eq!(
        policy.check("https://bücher.example/a.pdf"),
        Err(UrlRefusedError::NonAsciiHost)
    );
}

#[test]
fn listed_hosts_are_folded_and_blank_ones_dropped() {
    let policy = UrlPolicy::new([" B.Example. ", "", "  ", ".", "a.example", "A.EXAMPLE"]);
    assert_eq!(policy.allowed_hosts().collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert!(policy.check("https://b.example/").is_ok());
    assert_eq!(
        policy.check("https://./").map_err(|refusal| reason(&refusal)),
        Err("host")
    );
}

#[test]
fn the_length_limit_is_exact() {
    let base = "https://claimxperience.com/";
    let longest = format!("{base}{}", "a".repeat(MAX_URL_BYTES - base.len()));
    assert!(production().check(&longest).is_ok());
    assert_eq!(
        production().check(&format!("{longest}a")),
        Err(UrlRefusedError::TooLong {
            bytes: MAX_URL_BYTES + 1
        })
    );
}

/// Percent-encoded it has three times the bytes, and would be refused where it is checked again.
#[test]
fn a_url_that_grows_too_long_once_it_is_read_is_refused() {
    let written = format!("https://claimxperience.com/{}", "ü".repeat(2000));
    assert!(written.len() < MAX_URL_BYTES);
    assert_eq!(
        production().check(&written),
        Err(UrlRefusedError::TooLong { bytes: 12_027 })
    );
    let fits = format!("https://claimxperience.com/{}", "ü".repeat(1000));
    let url = production().check(&fits).unwrap();
    assert_eq!(production().check(url.as_str()), Ok(url));
}

#[test]
fn a_redirect_is_subject_to_the_rules_of_the_first_url() {
    let policy = production();
    let base = Url::parse("https://claimxperience.com/a/b.pdf?sig=1#x").unwrap();
    let table = [
        ("c.pdf", Ok("https://claimxperience.com/a/c.pdf")),
        ("/c.pdf?d", Ok("https://claimxperience.com/c.pdf?d")),
        ("?d=e", Ok("https://claimxperience.com/a/b.pdf?d=e")),
        ("../../../c.pdf", Ok("https://claimxperience.com/c.pdf")),
        (
            "//www.claimxperience.com/c.pdf",
            Ok("https://www.claimxperience.com/c.pdf"),
        ),
        (
            "https://www.claimxperience.com./c.pdf",
            Ok("https://www.claimxperience.com/c.pdf"),
        ),
        ("https://evil.example/c.pdf", Err("host")),
        ("//evil.example/c.pdf", Err("host")),
        ("///evil.example/c.pdf", Err("no host")),
        ("////evil.example/c.pdf", Err("no host")),
        ("/\\evil.example/c.pdf", Err("character")),
        ("\\\\evil.example/c.pdf", Err("character")),
        ("/\t/evil.example/c.pdf", Err("character")),
        ("/a b.pdf", Ok("https://claimxperience.com/a%20b.pdf")),
        ("c d.pdf?e f#g h", Ok("https://claimxperience.com/a/c%20d.pdf?e%20f")),
        ("/größe.pdf", Ok("https://claimxperience.com/gr%C3%B6%C3%9Fe.pdf")),
        ("a b:c.pdf", Ok("https://claimxperience.com/a/a%20b:c.pdf")),
        (
            "//www.claimxperience.com/c d.pdf",
            Ok("https://www.claimxperience.com/c%20d.pdf"),
        ),
        (
            "https://www.claimxperience.com/c d.pdf",
            Ok("https://www.claimxperience.com/c%20d.pdf"),
        ),
        ("// www.claimxperience.com/c.pdf", Err("character")),
        ("//www.claimxperience.com /c.pdf", Err("character")),
        ("//bücher.example/c.pdf", Err("non-ascii host")),
        ("//evil.example/c d.pdf", Err("host")),
        (
            "/ /evil.example/c.pdf",
            Ok("https://claimxperience.com/%20/evil.example/c.pdf"),
        ),
        (
            "https ://evil.example/c.pdf",
            Ok("https://claimxperience.com/a/https%20://evil.example/c.pdf"),
        ),
        (" https://evil.example/c.pdf", Err("character")),
        (" //evil.example/c.pdf", Err("character")),
        ("/a\u{2028}b.pdf", Err("character")),
        ("/a b\n.pdf", Err("character")),
        (" /c.pdf", Err("character")),
        ("/c.pdf ", Err("character")),
        ("//user@claimxperience.com/c.pdf", Err("user info")),
        ("//claimxperience.com:8443/c.pdf", Err("port")),
        ("//%63laimxperience.com/c.pdf", Err("encoded host")),
        ("http://claimxperience.com/c.pdf", Err("scheme")),
        ("http:c.pdf", Err("scheme")),
        ("https:c.pdf", Err("no host")),
        ("https:/c.pdf", Err("no host")),
        ("file:///etc/passwd", Err("scheme")),
        ("http://169.254.169.254/", Err("scheme")),
        ("https://169.254.169.254/", Err("ip")),
        ("javascript:alert(1)", Err("scheme")),
    ];
    for (location, expected) in table {
        let found = policy.check_redirect(&base, location);
        let found = found.as_ref().map(Url::as_str).map_err(reason);
        assert_eq!(found, expected, "{location:?}");
    }
    let long = "a".repeat(MAX_URL_BYTES + 1);
    assert!(policy.check_redirect(&base, &long).is_err());
}

#[test]
fn a_location_that_is_not_utf8_keeps_its_bytes() {
    let policy = production();
    let base = Url::parse("https://claimxperience.com/a/b.pdf").unwrap();
    for (location, expected) in [
        (
            &b"/Gr\xF6\xDFe 1.pdf"[..],
            Ok("https://claimxperience.com/Gr%F6%DFe%201.pdf"),
        ),
        (
            b"https://www.claimxperience.com/\xE9.pdf",
            Ok("https://www.claimxperience.com/%E9.pdf"),
        ),
        (b"//claimxperience.com\xE9/c.pdf", Err("encoded host")),
        (
            b"\xE9://claimxperience.com/c.pdf",
            Ok("https://claimxperience.com/a/%E9://claimxperience.com/c.pdf"),
        ),
    ] {
        let found = policy.check_redirect(&base, &location_text(location));
        let found = found.as_ref().map(Url::as_str).map_err(reason);
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(location));
    }
}

#[test]
fn explain_reports_what_is_encoded() {
    for (url, words) in [
        ("https://claimxperience.com/a b.pdf", "percent-encoded"),
        ("https://claimxperience.com/ü.pdf", "percent-encoded"),
        ("https://claimxperience.com/a%20b.pdf", "no white space"),
    ] {
        let verdicts = production().explain(url);
        assert!(verdicts[1].verdict.as_ref().unwrap().contains(words), "{url}");
    }
}

#[test]
fn explain_has_one_result_for_each_rule_and_names_the_host() {
    let verdicts = production().explain("https://claimxperience.com/a.pdf?sig=secret");
    let rules: Vec<_> = verdicts.iter().map(|verdict| verdict.rule).collect();
    assert_eq!(
        rules,
        [
            "length",
            "characters",
            "scheme",
            "user information",
            "host name",
            "port",
            "allowed host"
        ]
    );
    assert!(verdicts.iter().all(|verdict| verdict.verdict.is_ok()));
    assert_eq!(verdicts[4].verdict.as_deref(), Ok("claimxperience.com"));

    let verdicts = production().explain("http://user@evil.example:80/");
    let refused: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.verdict.is_err())
        .map(|verdict| verdict.rule)
        .collect();
    assert_eq!(
        refused,
        ["scheme", "user information", "host name", "port", "allowed host"]
    );
}

/// Pieces of which attacks are made, so that random texts come near the interesting places.
fn url_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "https://",
            "http://",
            "https:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            ":443",
            ":80",
            "?",
            "#",
            "%",
            "%2e",
            ".",
            "..",
            "[",
            "]",
            "[::1]",
            "127.0.0.1",
            "0x7f",
            "localhost",
            "claimxperience.com",
            "ClaimXperience.com.",
            "www.",
            "evil.example",
            "user",
            "\t",
            "\n",
            " ",
            "\u{0}",
            "。",
            "ü",
            "\u{200b}",
            "xn--",
        ])
        .prop_map(str::to_owned),
        "[ -~]{1,4}",
        any::<char>().prop_map(String::from),
    ];
    let tail = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![
        tail.clone(),
        tail.clone().prop_map(|tail| format!("https://{tail}")),
        tail.prop_map(|tail| format!("https://claimxperience.com{tail}")),
    ]
}

/// What must hold for whatever is accepted.
fn assert_harmless(url: &Url, policy: &UrlPolicy) {
    assert_eq!(url.scheme(), "https");
    let host = url.host_str().unwrap();
    assert!(policy.allowed_hosts().any(|allowed| allowed == host), "{host}");
    assert_eq!((url.username(), url.password()), ("", None));
    assert_eq!(url.port_or_known_default(), Some(443));
    assert_eq!(url.fragment(), None);
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url), "reads back as the same URL");
}

proptest! {
    #[test]
    fn accepted_urls_are_harmless(raw in url_like()) {
        let policy = production();
        if let Ok(url) = policy.check(&raw) {
            assert_harmless(&url, &policy);
            // Nothing but letter case, the trailing dot and the port may stand between text and host.
            let authority = raw["https://".len()..].split(['/', '?', '#']).next().unwrap();
            let written = authority.strip_suffix(":443").unwrap_or(authority);
            let written = written.strip_suffix('.').unwrap_or(written);
            prop_assert!(written.eq_ignore_ascii_case(url.host_str().unwrap()));
            prop_assert_eq!(policy.check(url.as_str()), Ok(url));
        }
    }

    #[test]
    fn accepted_redirects_are_harmless(location in url_like()) {
        let policy = production();
        let base = Url::parse("https://claimxperience.com/a/b.pdf").unwrap();
        if let Ok(url) = policy.check_redirect(&base, &location) {
            assert_harmless(&url, &policy);
        }
    }

    #[test]
    fn explain_agrees_with_check(raw in url_like(), policy in any_policy()) {
        let all_ok = policy.explain(&raw).iter().all(|verdict| verdict.verdict.is_ok());
        prop_assert_eq!(all_ok, policy.check(&raw).is_ok());
    }

    #[test]
    fn any_text_is_judged_without_panic(raw in any::<String>(), location in any::<String>(), policy in any_policy()) {
        let base = Url::parse("https://claimxperience.com/").unwrap();
        let _ = (policy.check(&raw), policy.explain(&raw), policy.check_redirect(&base, &location));
    }

    #[test]
    fn refusals_repeat_neither_query_nor_user(before in url_like(), policy in any_policy()) {
        let urls = [format!("{before}?s3cretvalue"), format!("https://s3cretvalue:s3cretvalue@{before}")];
        for raw in urls {
            for verdict in policy.explain(&raw) {
                let text = verdict.verdict.unwrap_or_else(|refusal| refusal);
                prop_assert!(!text.contains("s3cretvalue"), "{}", text);
            }
        }
    }
}
