//! Settings, and the preflight.

use axum::extract::State;
use maud::{Markup, html};

use super::access::User;
use super::context::Context;
use super::layout::{self, scroll, text};
use xact_operations::check::{Depth, check as preflight};

/// `GET /setup`.
pub(super) async fn page(State(context): State<Context>, user: User) -> Markup {
    let content = html! {
        h2 { "Check" }
        div hx-get="/setup/check" hx-trigger="load" {
            noscript { a href="/setup/check" { "Check" } }
            p { "Checking everything that the pipeline needs …" }
        }
        h2 { "Settings" }
        (scroll("Settings", &html! {
            table {
                thead { tr { th scope="col" { "Variable" } th scope="col" { "Value" } } }
                tbody {
                    @for (name, value) in context.variables.iter() {
                        tr { th scope="row" { code { (name) } } td.lines { (text(value)) } }
                    }
                }
            }
        }))
    };
    layout::page("/setup", "Setup", &user, &content)
}

/// `GET /setup/check`: one line for each thing that the pipeline needs. It takes until the slowest answers.
pub(super) async fn check(State(context): State<Context>) -> Markup {
    let results = preflight(&context.settings, Depth::Plain, |_| ()).await;
    html! {
        (scroll("Check results", &html! {
            table {
                thead { tr { th scope="col" { "Check" } th scope="col" { "Verdict" } th scope="col" { "What was found, and what to do" } } }
                tbody {
                    @for result in &results {
                        @let verdict = result.finding.verdict.to_string();
                        tr {
                            th scope="row" { (text(&result.check)) }
                            td { span.state data-state=(verdict) { (verdict) } }
                            td.lines { (text(&result.finding.text)) }
                        }
                    }
                }
            }
        }))
    }
}
