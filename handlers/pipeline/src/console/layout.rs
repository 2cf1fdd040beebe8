//! What every page has: head, navigation, errors; and how values are written.

use std::fmt::Display;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::ui::text::visible;
use xact_contracts::redaction::redact_text;

const PAGES: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/find", "Find"),
    ("/dead-letters", "Dead letters"),
    ("/tables", "Tables"),
    ("/setup", "Setup"),
];

/// What htmx may not do: the policy of the pages forbids styles and code in attributes.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyCacheSize":0}"#;

/// Returns a page.
pub(super) fn page(path: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=(HTMX);
                title { (title) " – xact-pipeline" }
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/htmx.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    strong { "xact-pipeline" }
                    nav aria-label="Pages" {
                        @for (address, name) in PAGES {
                            a href=(address) aria-current=[(address == path).then_some("page")] { (name) }
                        }
                    }
                }
                main #content {
                    h1 { (title) }
                    (content)
                }
                footer { "Version " (env!("CARGO_PKG_VERSION")) " · times are UTC" }
            }
        }
    }
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
        Self::new(StatusCode::BAD_REQUEST, text(reason))
    }

    /// A service that the page needs refuses or does not answer.
    pub(super) fn of_service(error: impl Display) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let content = html! { (problem(&self.text)) p { a href="/" { "Overview" } } };
        (self.status, page("", "This page cannot be shown", &content)).into_response()
    }
}

/// Returns a box with what is wrong and what to do.
pub(super) fn problem(reason: &str) -> Markup {
    html! { p.problem role="alert" { (text(reason)) } }
}

/// Returns text of a message or a server: without secrets, with control characters escaped. Maud escapes the markup.
pub(super) fn text(text: &str) -> String {
    visible(&redact_text(text))
}

/// Returns a time to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a duration in its two largest units.
pub(super) fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        86_400.. => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// Returns a whole number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut written = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push('\u{202f}');
        }
        written.push(digit);
    }
    written
}

/// Returns a size in bytes.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        let numbers = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        let durations = [-5, 59, 61, 3661, 90_000].map(duration);
        assert_eq!(durations, ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

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
