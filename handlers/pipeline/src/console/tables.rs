//! The tables: their state, and what maintaining them would do.

pub(super) mod upkeep;

use axum::extract::State;
use axum::http::StatusCode;
use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use maud::{Markup, html};

use super::context::Context;
use super::layout::{self, PageError, problem, read_at, text};
use super::user::User;
use xact_operations::OneLakeCost;
use xact_operations::tables::{StateOf, TableOutcome, TableState, states};

/// `GET /tables`.
pub(super) async fn page(State(context): State<Context>, user: User) -> Result<Markup, PageError> {
    let read = states(&context.settings);
    let reading = context.readings.tables.get((), Timestamp::now(), read).await;
    let reading = reading.map_err(|error| PageError::of_operation(&error, StatusCode::BAD_REQUEST))?;
    let content = html! {
        @for state in &*reading.value { (section(state)) }
        (read_at(reading.at, &cost(&reading.value)))
        (upkeep::section(&user))
    };
    Ok(layout::page("/tables", "Tables", &user, &content))
}

fn cost(states: &[StateOf]) -> String {
    let costs = states
        .iter()
        .filter_map(|state| state.answer.as_ref().ok()?.cost.as_ref());
    let costs: Vec<f64> = costs.map(OneLakeCost::cu_seconds).collect();
    match costs.len() {
        0 => String::new(),
        _ => format!("It cost {:.4} CU seconds of OneLake.", costs.iter().sum::<f64>()),
    }
}

fn section(state: &StateOf) -> Markup {
    html! {
        section {
            h2 { (state.table) }
            @match &state.answer {
                Err(error) => (problem(&error.to_string())),
                Ok(answer) => {
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
