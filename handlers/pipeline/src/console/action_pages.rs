//! The pages of actions.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::context::Context;
use super::layout::{self, PageError, scroll, text, time};
use super::user::User;

/// `GET /actions`: the newest first.
pub(super) async fn page(State(context): State<Context>, user: User) -> Markup {
    let kept = context.actions.newest();
    let content = html! {
        @if kept.is_empty() { p { "No action has been started since the console started." } } @else {
            (scroll("Actions", &html! {
                table {
                    thead { tr { th scope="col" { "Started" } th scope="col" { "Action" } th scope="col" { "By" } th scope="col" { "State" } } }
                    tbody {
                        @for action in &kept {
                            tr {
                                td.time { (time(action.started_at)) }
                                td.lines { a href={ "/actions/" (action.id) } { (text(&action.name)) } }
                                td { (text(&action.user)) }
                                td { (action.state()) }
                            }
                        }
                    }
                }
            }))
        }
        p { "The log has them all, with target " code { "audit" } "." }
    };
    layout::page("/actions", "Actions", &user, &content)
}

/// `GET /actions/ID`.
pub(super) async fn action(
    State(context): State<Context>,
    user: User,
    Path(id): Path<String>,
) -> Result<Markup, PageError> {
    let action = context.actions.find(&id)?;
    Ok(layout::page("/actions", &text(&action.name), &user, &action.part()))
}

/// `GET /actions/ID/progress`.
/// An unknown action is a text, since an error would leave the last progress on the page.
pub(super) async fn progress(State(context): State<Context>, Path(id): Path<String>) -> Markup {
    match context.actions.find(&id) {
        Ok(action) => action.part(),
        Err(error) => error.as_part(),
    }
}
