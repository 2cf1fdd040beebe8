//! The session of somebody who has signed in with a token: a cookie that states who, and until when.
//!
//! The cookie is `NAME.EXPIRY.MAC`, and the MAC's key is the token: nothing is stored, and a session ends with its token.

use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use url::Url;

use super::mac::mac;
use xact_config::{ConsoleToken, Role};

const COOKIE: &str = "xact_console";
/// How long a session is valid: a working day.
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_hours(10);

/// Returns name and role of the session in the cookie, if it is valid.
pub(super) fn user(headers: &HeaderMap, tokens: &[ConsoleToken], now: Timestamp) -> Option<(String, Role)> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let mut cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let value = cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let (signed, given) = value.rsplit_once('.')?;
    let (name, expiry) = signed.rsplit_once('.')?;
    let expires_at = Timestamp::from_second(expiry.parse().ok()?).ok()?;
    let mut of_name = tokens.iter().filter(|token| token.name == name);
    let token = of_name.find(|token| bool::from(given.as_bytes().ct_eq(mac_of(token, signed).as_bytes())))?;
    (now < expires_at).then(|| (token.name.clone(), token.role))
}

fn mac_of(token: &ConsoleToken, signed: &str) -> String {
    mac(token.token.expose_secret().as_bytes(), signed)
}

/// Returns the cookie of a new session. Other sites' forms do not send it (SameSite), and no script reads it (HttpOnly).
pub(super) fn begin(token: &ConsoleToken, url: Option<&Url>, now: Timestamp) -> String {
    let signed = format!("{}.{}", token.name, (now + LIFETIME).as_second());
    cookie(&format!("{signed}.{}", mac_of(token, &signed)), url, LIFETIME)
}

/// Returns the cookie that ends a session.
pub(super) fn end(url: Option<&Url>) -> String {
    cookie("", url, SignedDuration::ZERO)
}

fn cookie(value: &str, url: Option<&Url>, age: SignedDuration) -> String {
    let secure = url.filter(|url| url.scheme() == "https").map_or("", |_| "; Secure");
    let seconds = age.as_secs();
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn token(name: &str, token: &str) -> ConsoleToken {
        ConsoleToken {
            name: name.to_owned(),
            role: Role::View,
            token: token.into(),
        }
    }

    #[test]
    fn a_session_is_of_its_token_and_ends() {
        let tokens = [
            token("anna.b", "first"),
            token("anna.b", "second"),
            token("ben", "third"),
        ];
        let signed = "anna.b.1000";
        let now = |second| Timestamp::from_second(second).unwrap();
        let read = |cookie: &str, second| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
            user(&headers, &tokens, now(second)).map(|(name, _)| name)
        };
        let of = |token: &ConsoleToken| format!("a=b; {COOKIE}={signed}.{}", mac_of(token, signed));
        assert_eq!(read(&of(&tokens[0]), 999).as_deref(), Some("anna.b"));
        assert_eq!(read(&of(&tokens[1]), 999).as_deref(), Some("anna.b"));
        assert_eq!(read(&of(&tokens[0]), 1000), None, "expired");
        assert_eq!(read(&of(&tokens[2]), 999), None, "a token of somebody else");
        let longer = of(&tokens[0]).replace(".1000.", ".9000.");
        assert_eq!(read(&longer, 999), None);
        for cookie in [
            "",
            "xact_console",
            "xact_console=",
            "xact_console=a.b",
            "xact_console=...",
        ] {
            assert_eq!(read(cookie, 0), None, "{cookie}");
        }
    }
}
