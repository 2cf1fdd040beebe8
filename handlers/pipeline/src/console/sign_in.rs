//! The sign-in page.

use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::html;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::context::Context;
use super::layout::{self, problem};
use super::pairs::Pairs;
use super::session::{self, LIFETIME};
use xact_config::{ConsoleToken, SignIn};

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
    redirect(target, &session::begin(token, settings.url.as_ref(), Timestamp::now()))
}

/// `POST /sign-out`.
pub(super) async fn sign_out(State(context): State<Context>) -> Response {
    redirect("/", &session::end(context.access.settings.url.as_ref()))
}

fn redirect(target: &str, cookie: &str) -> Response {
    let headers = [(header::LOCATION, target), (header::SET_COOKIE, cookie)];
    let headers = headers.map(|(name, value)| {
        let value = HeaderValue::from_str(value);
        (name, value.unwrap_or(HeaderValue::from_static("/")))
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
