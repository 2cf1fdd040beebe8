//! The sign-in with a token: a page, and a cookie that states who signed in and until when.
//!
//! The cookie is `NAME.EXPIRY.MAC`, and the MAC's key is the token: nothing is stored, and a session ends with its token.

use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use maud::html;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::access::mac;
use super::context::Context;
use super::layout::{self, problem};
use super::pairs::Pairs;
use xact_config::{ConsoleToken, Role, SignIn};

const COOKIE: &str = "xact_console";
/// How long a session is valid: a working day.
const LIFETIME: SignedDuration = SignedDuration::from_hours(10);

/// Returns name and role of the session in the cookie, if it is valid.
pub(super) fn user(headers: &HeaderMap, tokens: &[ConsoleToken]) -> Option<(String, Role)> {
    user_at(headers, tokens, Timestamp::now())
}

fn user_at(headers: &HeaderMap, tokens: &[ConsoleToken], now: Timestamp) -> Option<(String, Role)> {
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
    hex::encode(mac(token.token.expose_secret().as_bytes(), signed))
}

/// Returns the sign-in page, which leads to `target`.
pub(super) fn page(target: &str, reason: Option<&str>) -> Response {
    let content = html! {
        @if let Some(reason) = reason { (problem(reason)) }
        form method="post" action="/sign-in" {
            input type="hidden" name="target" value=(target);
            label { "Token " input.wide type="password" name="token" required autocomplete="current-password" maxlength="1000" autofocus; }
            button { "Sign in" }
        }
        p { "An administrator sets the tokens in " code { "CONSOLE_TOKENS" } ". A session ends after " (LIFETIME.as_hours()) " hours." }
    };
    (StatusCode::UNAUTHORIZED, layout::bare("Sign in", &content)).into_response()
}

/// `POST /sign-in`.
pub(super) async fn sign_in(State(context): State<Context>, RawForm(form): RawForm) -> Response {
    let settings = &context.access.settings;
    let form = Pairs::parse(&form);
    let target = Some(form.value("target"))
        .filter(|target| is_local(target))
        .unwrap_or("/");
    let given = form.value("token").as_bytes();
    let is_given = |token: &&ConsoleToken| bool::from(token.token.expose_secret().as_bytes().ct_eq(given));
    let token = settings
        .tokens
        .iter()
        .find(is_given)
        .filter(|_| settings.sign_in == SignIn::Token);
    let Some(token) = token else {
        tracing::warn!(target: "audit", "sign-in refused: unknown token");
        return page(
            target,
            Some("this token is not known: check it, or ask an administrator"),
        );
    };
    tracing::info!(target: "audit", user = token.name, role = %token.role, "signed in");
    let signed = format!("{}.{}", token.name, (Timestamp::now() + LIFETIME).as_second());
    let value = format!("{signed}.{}", mac_of(token, &signed));
    redirect(&context, target, &value, LIFETIME)
}

/// `POST /sign-out`.
pub(super) async fn sign_out(State(context): State<Context>) -> Response {
    redirect(&context, "/", "", SignedDuration::ZERO)
}

/// Leads to a page, and sets the cookie. Other sites' forms do not send it (SameSite), and no script reads it (HttpOnly).
fn redirect(context: &Context, target: &str, value: &str, age: SignedDuration) -> Response {
    let url = context.access.settings.url.as_ref();
    let secure = url.filter(|url| url.scheme() == "https").map_or("", |_| "; Secure");
    let cookie = format!(
        "{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        age.as_secs()
    );
    let headers = [(header::LOCATION, target), (header::SET_COOKIE, cookie.as_str())].map(|(name, value)| {
        (
            name,
            HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("/")),
        )
    });
    (StatusCode::SEE_OTHER, HeaderMap::from_iter(headers)).into_response()
}

/// Returns whether a target is a page of this server: `//host` and `/\host` are other servers.
fn is_local(target: &str) -> bool {
    let mut letters = target.chars();
    letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && target.chars().all(|letter| letter.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
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
            user_at(&headers, &tokens, now(second)).map(|(name, _)| name)
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

    #[test]
    fn a_sign_in_leads_to_pages_of_this_server_only() {
        for (target, expected) in [
            ("/", true),
            ("/find?id=a%20b", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://evil.example", false),
            ("/a\r\nSet-Cookie: x=y", false),
            ("", false),
        ] {
            assert_eq!(is_local(target), expected, "{target}");
        }
    }
}
