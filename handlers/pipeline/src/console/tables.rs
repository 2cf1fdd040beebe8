//! The tables: their state, and what maintaining them would do.

use axum::extract::State;
use axum::http::StatusCode;
use indicatif::{HumanBytes, HumanCount};
use maud::{Markup, html};

use super::access::User;
use super::context::Context;
use super::layout::{self, PageError, problem, text};
use xact_operations::tables::{Maintenance, TableAnswer, TableOutcome, TableState, Tables, maintain};

/// `GET /tables`.
pub(super) async fn page(State(context): State<Context>, user: User) -> Result<Markup, PageError> {
    let answers = maintain(&context.settings, Tables::All, Maintenance::Info).await;
    let answers = answers.map_err(|error| PageError::of_operation(&error, StatusCode::BAD_REQUEST))?;
    let content = html! {
        @for answer in &answers { (section(answer)) }
        p { "Upkeep: " code { "xact-pipeline maintain" } ", which is safe while handlers write." }
    };
    Ok(layout::page("/tables", "Tables", &user, &content))
}

fn section(answer: &TableAnswer) -> Markup {
    html! {
        section {
            h2 { (answer.table) }
            @match &answer.outcome {
                TableOutcome::State(state) => (state_of(state)),
                TableOutcome::Missing { location, variable, .. } => p {
                    "No table exists at " code { (text(location)) } " yet. Its first row creates it; if it should exist, check "
                    code { (variable) } "."
                },
                _ => (problem("an answer that is not a state")),
            }
            @if let Some(cost) = &answer.cost { p.cost { "Reading this cost " (cost) } }
        }
    }
}

fn state_of(state: &TableState) -> Markup {
    let count = |count: usize| HumanCount(count as u64).to_string();
    let dates = match (state.first_date, state.last_date) {
        (Some(first), Some(last)) => format!("{}, {first} to {last}", count(state.dates)),
        _ => count(state.dates),
    };
    html! {
        @for obstacle in &state.obstacles { (problem(&format!("cannot be appended to: {obstacle}"))) }
        @for advice in &state.advice { p.advice { (text(advice)) } }
        dl {
            dt { "Rows" } dd { (count(state.rows)) }
            dt { "Files" } dd { (count(state.files)) ", " (count(state.small_files)) " of them small, " (HumanBytes(state.bytes)) }
            dt { "Dates" } dd { (dates) }
            dt { "Version" } dd { (HumanCount(state.version)) ", last checkpoint "
                (state.checkpoint.map_or_else(|| "none".to_owned(), |version| HumanCount(version).to_string())) }
            dt { "Location" } dd { (text(&state.location)) }
        }
        @if !state.positions.is_empty() {
            details {
                summary { "Positions" }
                dl { @for (app_id, next) in &state.positions { dt { (app_id.as_str()) } dd { "written up to offset " (next) } } }
            }
        }
    }
}
