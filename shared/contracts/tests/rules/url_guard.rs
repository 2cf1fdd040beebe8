//! The rules for URLs and redirects.

use proptest::prelude::*;
use url::Url;

use crate::cases::{one_of, rows};
use crate::hostile_urls::HOSTILE;
use xact_contracts::url_guard::{
    DEFAULT_ALLOWED_HOSTS, MAX_URL_BYTES, RuleVerdict, UrlPolicy, UrlRefusedError, location_text,
};

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
        UrlRefusedError::TooLong(_) => "too long",
        UrlRefusedError::Character { .. } => "character",
        UrlRefusedError::Scheme(_) => "scheme",
        UrlRefusedError::UserInfo => "user info",
        UrlRefusedError::NoHost => "no host",
        UrlRefusedError::EncodedHost => "encoded host",
        UrlRefusedError::NonAsciiHost => "non-ascii host",
        UrlRefusedError::Unparsable(_) => "unparsable",
        UrlRefusedError::IpLiteral(_) => "ip",
        UrlRefusedError::Ambiguous => "ambiguous",
        UrlRefusedError::LocalhostOutsideDev => "localhost",
        UrlRefusedError::Port(_) => "port",
        UrlRefusedError::HostNotAllowed(_) => "host",
    }
}

fn verdict(policy: &UrlPolicy, url: &str) -> &'static str {
    policy.check(url).as_ref().map_or_else(reason, |_| "accepted")
}

#[test]
fn hostile_urls_are_refused_for_the_right_reason() {
    assert!(HOSTILE.len() >= 190, "{}", HOSTILE.len());
    let policy = production();
    let base = Url::parse("https://claimxperience.com/").unwrap();
    let mut wrong = Vec::new();
    for (url, expected) in HOSTILE {
        let found = verdict(&policy, url);
        if found != *expected {
            wrong.push(format!("{url:?}: {found} instead of {expected}"));
        }
        // The explanation for an operator has the same words.
        let mut rules = policy.explain(url).into_iter();
        let explained = rules.find_map(|rule| rule.verdict.err());
        let refusal = policy.check(url).err().map(|refusal| refusal.to_string());
        assert_eq!(explained, refusal, "{url:?}");
        // A redirect to it is refused, or is a path of the same host.
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
    // Among them are the space that macOS writes into the names of screenshots, dots that a space keeps from being a step
    // upwards, and a plus and an encoded space that stay what the signature was made of.
    let table = "
        https://claimxperience.com/test.pdf → https://claimxperience.com/test.pdf
        HTTPS://ClaimXperience.COM/Test.pdf → https://claimxperience.com/Test.pdf
        https://claimxperience.com./a.pdf?b=c → https://claimxperience.com/a.pdf?b=c
        https://claimxperience.com.:443/a.pdf → https://claimxperience.com/a.pdf
        https://claimxperience.com:443/a.pdf → https://claimxperience.com/a.pdf
        https://claimxperience.com/a.pdf#page=2 → https://claimxperience.com/a.pdf
        https://claimxperience.com → https://claimxperience.com/
        https://claimxperience.com?file=a.pdf → https://claimxperience.com/?file=a.pdf
        https://claimxperience.com/a@b.pdf → https://claimxperience.com/a@b.pdf
        https://claimxperience.com/a:b//c.pdf?x=https://evil.example/@ → https://claimxperience.com/a:b//c.pdf?x=https://evil.example/@
        https://claimxperience.com/a%20b%2Fc.pdf → https://claimxperience.com/a%20b%2Fc.pdf
        https://claimxperience.com/größe.pdf → https://claimxperience.com/gr%C3%B6%C3%9Fe.pdf
        https://claimxperience.com/Roof photo 1.jpg → https://claimxperience.com/Roof%20photo%201.jpg
        https://claimxperience.com/a  b%20c.pdf?file=d e.pdf&x=ü#f g → https://claimxperience.com/a%20%20b%20c.pdf?file=d%20e.pdf&x=%C3%BC
        https://claimxperience.com/Screenshot 2026-03-02 at 9.41.00\u{202f}AM.png → https://claimxperience.com/Screenshot%202026-03-02%20at%209.41.00%E2%80%AFAM.png
        https://claimxperience.com/a\u{a0}b\u{3000}c.pdf → https://claimxperience.com/a%C2%A0b%E3%80%80c.pdf
        https://claimxperience.com/写真 🏠.jpg → https://claimxperience.com/%E5%86%99%E7%9C%9F%20%F0%9F%8F%A0.jpg
        https://claimxperience.com? a.pdf → https://claimxperience.com/?%20a.pdf
        https://claimxperience.com/a/ ../b.pdf → https://claimxperience.com/a/%20../b.pdf
        https://claimxperience.com/a+b c%2B.pdf?sig=a+b%20c → https://claimxperience.com/a+b%20c%2B.pdf?sig=a+b%20c
        https://claimxperience.s3.amazonaws.com/k/a.pdf?X-Amz-Date=20240101T000000Z&X-Amz-Expires=600&X-Amz-Signature=ab%2Bcd → https://claimxperience.s3.amazonaws.com/k/a.pdf?X-Amz-Date=20240101T000000Z&X-Amz-Expires=600&X-Amz-Signature=ab%2Bcd
    ";
    for [raw, fetched] in rows(table) {
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
        assert_eq!(verdict(&policy, url), expected, "{url}");
    }
}

#[test]
fn the_listed_hosts_count_in_their_exact_form() {
    // Blank entries are dropped, and no other form of a foreign name than its punycode is allowed.
    let hosts = [
        " B.Example. ",
        "",
        "  ",
        ".",
        "a.example",
        "A.EXAMPLE",
        "xn--bcher-kva.example",
        "localhost",
    ];
    let policy = UrlPolicy::new(hosts);
    let allowed: Vec<_> = policy.allowed_hosts().collect();
    assert_eq!(
        allowed,
        ["a.example", "b.example", "localhost", "xn--bcher-kva.example"]
    );
    for (url, expected) in [
        ("https://b.example/", "accepted"),
        ("https://./", "host"),
        ("https://localhost/a.pdf", "localhost"),
        ("https://xn--bcher-kva.example/a.pdf", "accepted"),
        ("https://XN--bcher-KVA.example/a.pdf", "accepted"),
        ("https://bücher.example/a.pdf", "non-ascii host"),
    ] {
        assert_eq!(verdict(&policy, url), expected, "{url}");
    }
}

#[test]
fn the_length_limit_is_exact() {
    let base = "https://claimxperience.com/";
    let longest = format!("{base}{}", "a".repeat(MAX_URL_BYTES - base.len()));
    assert!(production().check(&longest).is_ok());
    assert_eq!(
        production().check(&format!("{longest}a")),
        Err(UrlRefusedError::TooLong(MAX_URL_BYTES + 1))
    );
}

/// Percent-encoded it has three times the bytes, and would be refused where it is checked again.
#[test]
fn a_url_that_grows_too_long_once_it_is_read_is_refused() {
    let written = format!("https://claimxperience.com/{}", "ü".repeat(2000));
    assert!(written.len() < MAX_URL_BYTES);
    assert_eq!(production().check(&written), Err(UrlRefusedError::TooLong(12_027)));
    let fits = format!("https://claimxperience.com/{}", "ü".repeat(1000));
    let url = production().check(&fits).unwrap();
    assert_eq!(production().check(url.as_str()), Ok(url));
}

#[test]
fn a_redirect_is_subject_to_the_rules_of_the_first_url() {
    let policy = production();
    let base = Url::parse("https://claimxperience.com/a/b.pdf?sig=1#x").unwrap();
    let followed = "
        c.pdf → https://claimxperience.com/a/c.pdf
        /c.pdf?d → https://claimxperience.com/c.pdf?d
        ?d=e → https://claimxperience.com/a/b.pdf?d=e
        ../../../c.pdf → https://claimxperience.com/c.pdf
        //www.claimxperience.com/c.pdf → https://www.claimxperience.com/c.pdf
        https://www.claimxperience.com./c.pdf → https://www.claimxperience.com/c.pdf
        /a b.pdf → https://claimxperience.com/a%20b.pdf
        c d.pdf?e f#g h → https://claimxperience.com/a/c%20d.pdf?e%20f
        /größe.pdf → https://claimxperience.com/gr%C3%B6%C3%9Fe.pdf
        a b:c.pdf → https://claimxperience.com/a/a%20b:c.pdf
        //www.claimxperience.com/c d.pdf → https://www.claimxperience.com/c%20d.pdf
        https://www.claimxperience.com/c d.pdf → https://www.claimxperience.com/c%20d.pdf
        / /evil.example/c.pdf → https://claimxperience.com/%20/evil.example/c.pdf
        https ://evil.example/c.pdf → https://claimxperience.com/a/https%20://evil.example/c.pdf
    ";
    for [location, fetched] in rows(followed) {
        let found = policy.check_redirect(&base, location);
        assert_eq!(found.as_ref().map(Url::as_str), Ok(fetched), "{location}");
    }
    let refused = [
        ("https://evil.example/c.pdf", "host"),
        ("//evil.example/c.pdf", "host"),
        ("///evil.example/c.pdf", "no host"),
        ("////evil.example/c.pdf", "no host"),
        ("/\\evil.example/c.pdf", "character"),
        ("\\\\evil.example/c.pdf", "character"),
        ("/\t/evil.example/c.pdf", "character"),
        ("// www.claimxperience.com/c.pdf", "character"),
        ("//www.claimxperience.com /c.pdf", "character"),
        ("//bücher.example/c.pdf", "non-ascii host"),
        ("//evil.example/c d.pdf", "host"),
        (" https://evil.example/c.pdf", "character"),
        (" //evil.example/c.pdf", "character"),
        ("/a\u{2028}b.pdf", "character"),
        ("/a b\n.pdf", "character"),
        (" /c.pdf", "character"),
        ("/c.pdf ", "character"),
        ("//user@claimxperience.com/c.pdf", "user info"),
        ("//claimxperience.com:8443/c.pdf", "port"),
        ("//%63laimxperience.com/c.pdf", "encoded host"),
        ("http://claimxperience.com/c.pdf", "scheme"),
        ("http:c.pdf", "scheme"),
        ("https:c.pdf", "no host"),
        ("https:/c.pdf", "no host"),
        ("file:///etc/passwd", "scheme"),
        ("http://169.254.169.254/", "scheme"),
        ("https://169.254.169.254/", "ip"),
        ("javascript:alert(1)", "scheme"),
    ];
    for (location, expected) in refused {
        let found = policy
            .check_redirect(&base, location)
            .map_err(|refusal| reason(&refusal));
        assert_eq!(found, Err(expected), "{location:?}");
    }
    let long = "a".repeat(MAX_URL_BYTES + 1);
    assert!(policy.check_redirect(&base, &long).is_err());
}

#[test]
fn a_location_that_is_not_utf8_keeps_its_bytes() {
    let policy = production();
    let base = Url::parse("https://claimxperience.com/a/b.pdf").unwrap();
    for (location, expected) in [
        (&b"/Gr\xF6\xDFe 1.pdf"[..], Ok("/Gr%F6%DFe%201.pdf")),
        (b"https://claimxperience.com/\xE9.pdf", Ok("/%E9.pdf")),
        (b"//claimxperience.com\xE9/c.pdf", Err("encoded host")),
        (b"\xE9://evil.example/c.pdf", Ok("/a/%E9://evil.example/c.pdf")),
    ] {
        let found = policy.check_redirect(&base, &location_text(location));
        assert_eq!(
            found.as_ref().map(Url::path).map_err(reason),
            expected,
            "{}",
            location.escape_ascii()
        );
        assert!(found.is_ok_and(|url| url.host() == base.host()) || expected.is_err());
    }
}

#[test]
fn explain_has_one_result_for_each_rule() {
    let rules = [
        ("length", "52 of at most 8192 bytes"),
        ("characters", "spaces and letters outside ASCII are percent-encoded"),
        ("scheme", "https"),
        ("user information", "none"),
        ("host name", "claimxperience.com"),
        ("port", "443"),
        ("allowed host", "claimxperience.com is in the list"),
    ];
    let expected = rules.map(|(rule, found)| RuleVerdict {
        rule,
        verdict: Ok(found.to_owned()),
    });
    assert_eq!(
        production().explain("https://claimxperience.com/ü b.pdf?sig=secret"),
        expected
    );
    let characters = &production().explain("https://claimxperience.com/a%20b.pdf")[1];
    assert!(characters.verdict.as_ref().unwrap().contains("no white space"));

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
    let pieces = "https:// http:// https: // / \\ @ : :443 :80 ? # % %2e . .. [ ] [::1] 127.0.0.1 0x7f localhost \
        claimxperience.com ClaimXperience.com. www. evil.example user \0 。 ü \u{200b} xn--";
    let piece = prop_oneof![
        one_of(pieces, &[" ", "\t", "\n"]),
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
