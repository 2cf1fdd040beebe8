//! What every page has: head, navigation, errors; and how values are written.

use std::fmt::Display;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, html};

use super::cached::MAX_AGE;
use super::user::{FORM_TOKEN, SignOut, User};
use crate::ui::text::visible;
use xact_contracts::redaction::redact_text;
use xact_operations::OperationError;

const PAGES: [(&str, &str); 7] = [
    ("/", "Overview"),
    ("/find", "Find"),
    ("/dead-letters", "Dead letters"),
    ("/days", "Days"),
    ("/tables", "Tables"),
    ("/actions", "Actions"),
    ("/setup", "Setup"),
];

/// What htmx may not do: the policy of the pages forbids styles and code in attributes.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyCacheSize":0}"#;

/// Returns a page.
pub(super) fn page(path: &str, title: &str, user: &User, content: &Markup) -> Markup {
    let header = html! {
        (navigation(path))
        form.user method="post" action="/sign-out" {
            (text(&user.name)) ", " (user.role)
            @match user.sign_out {
                SignOut::None => {},
                SignOut::Form => button { "Sign out" },
                SignOut::Platform => a.button href="/.auth/logout" { "Sign out" },
            }
        }
    };
    document(title, &header, content)
}

/// Returns a page for nobody, such as an error.
pub(super) fn bare(title: &str, content: &Markup) -> Markup {
    document(title, &navigation(""), content)
}

fn navigation(path: &str) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (address, name) in PAGES {
                a href=(address) aria-current=[(address == path).then_some("page")] { (name) }
            }
        }
    }
}

fn document(title: &str, header: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=(HTMX);
                title { (title) " – xact-pipeline" }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/htmx.js" defer {}
                script src="/assets/htmx-sse.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    strong { "xact-pipeline" }
                    (header)
                }
                // The target of the link above takes the focus.
                main #content tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                footer { "Version " (env!("CARGO_PKG_VERSION")) " · times are UTC" }
            }
        }
    }
}

/// Returns a table, or whatever else may be wider than a phone, in a box that scrolls by itself, also by keyboard. `label` is its
/// name for screen readers, and differs from those of other boxes of the page.
pub(super) fn scroll(label: &str, content: &Markup) -> Markup {
    // By its id htmx gives the focus back when the box is replaced.
    let id = label
        .to_lowercase()
        .replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    html! { div.scroll id={ "box-" (id) } role="region" aria-label=(label) tabindex="0" { (content) } }
}

/// Returns the field that a form of this user needs to change something.
pub(super) fn form_token(user: &User) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(user.form_token); }
}

/// A page, or a part of one, that cannot be shown.
pub(super) struct PageError {
    status: StatusCode,
    text: String,
}

impl PageError {
    pub(super) fn new(status: StatusCode, text: impl Display) -> Self {
        let text = text.to_string();
        Self { status, text }
    }

    /// The query of the address is not what the command would accept.
    pub(super) fn of_arguments(error: impl Display) -> Self {
        let error = error.to_string();
        let reason = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// The operation refuses the request, which has the status `refused`, or a service that it needs fails.
    pub(super) fn of_operation(error: &OperationError, refused: StatusCode) -> Self {
        let status = match error {
            OperationError::Refused(_) => refused,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error)
    }
}

impl PageError {
    /// Returns the text as a part of a page.
    pub(super) fn as_part(&self) -> Markup {
        problem(&self.text)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let content = html! { (problem(&self.text)) p { a href="/" { "Overview" } } };
        (self.status, bare("This page cannot be shown", &content)).into_response()
    }
}

/// Returns a box with what is wrong and what to do.
pub(super) fn problem(reason: &str) -> Markup {
    html! { p.problem role="alert" { (text(reason)) } }
}

/// Returns when something was read, what that cost, and how old it may become.
pub(super) fn read_at(at: Timestamp, cost: &str) -> Markup {
    html! { p.cost { "Read at " (time(at)) ". " (cost) " It is read again when somebody looks after " (MAX_AGE.as_secs()) " seconds." } }
}

/// Returns text of a message or a server: without secrets, with control characters escaped. Maud escapes the markup.
pub(super) fn text(text: &str) -> String {
    visible(&redact_text(text))
}

/// Returns a time to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a duration as `topics lag` writes it, such as `2h 3m 10s`.
pub(super) fn duration(seconds: i64) -> String {
    format!("{:#}", SignedDuration::from_secs(seconds.max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped_and_has_no_secrets() {
        let hostile = "<script>alert(1)</script> \u{202e} https://a.example/b.pdf?sig=SECRET";
        let shown = problem(hostile).into_string();
        assert!(
            !shown.contains("<script>") && !shown.contains("SECRET") && shown.contains("\\u{202e}"),
            "{shown}"
        );
    }
}
