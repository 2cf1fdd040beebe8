//! Days: a calendar of what was recorded of each date, and today as it is now.
//!
//! - `month`: the dates of a page; `calendar`: how they look
//! - `date`: one date with all of its checks, and its reconciliation; `findings`: what a reconciliation found

mod calendar;
pub(super) mod date;
mod findings;
mod month;

use std::time::Instant;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use super::cached::Reading;
use super::context::Context;
use super::layout::{self, PageError, problem, read_at};
use super::pairs::Pairs;
use super::readings::Reconciled;
use super::user::User;
use calendar::calendar;
use findings::findings;
use month::Month;
use xact_contracts::time;
use xact_operations::OperationError;
use xact_operations::reconcile::{TimeRange, reconcile};

/// `GET /days?month=2026-11`: without a month, the current one.
pub(super) async fn page(
    State(context): State<Context>,
    user: User,
    RawQuery(query): RawQuery,
) -> Result<Markup, PageError> {
    let now = Timestamp::now();
    let today = time::utc_date(now);
    let query = Pairs::of_query(query.as_deref());
    let month = match query.value("month") {
        "" => Month::of(today),
        given => Month::parse(given)
            .ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "month must be a month such as 2026-11"))?,
    };
    let recorded = match date::history(&context, month.first, month.last, now).await {
        Ok(recorded) => Ok(recorded),
        // Without the table, today can be shown all the same.
        Err(error @ OperationError::OpenTable(_)) => Err(error),
        Err(error) => return Err(PageError::of_operation(&error, StatusCode::BAD_GATEWAY)),
    };
    let content = html! {
        nav.months aria-label="Months" {
            @if let Some(previous) = month.previous() { a rel="prev" href={ "/days?month=" (previous) } { (previous) } }
            strong { (month) }
            @if let Some(next) = month.next() { a rel="next" href={ "/days?month=" (next) } { (next) } }
            @if month != Month::of(today) { a href="/days" { "Current month" } }
        }
        @match &recorded {
            Ok(Reading { at, value: history }) => {
                @if !history.exists { (how_to_record(&history.location)) }
                (calendar(&month, &history.newest(), today))
                (read_at(*at, &date::cost_of(history)))
            }
            Err(error) => (problem(&error.to_string())),
        }
        h2 { "Today, " (today) }
        @if month == Month::of(today) {
            div hx-get="/days/today" hx-trigger="load" {
                noscript { a href="/days/today" { "Reconcile today" } }
                p { "Reconciling today: reading the topics and the rows of today …" }
            }
        } @else {
            p { a href="/days" { "The current month" } " shows today as it is now." }
        }
    };
    Ok(layout::page("/days", "Days", &user, &content))
}

/// `GET /days/today`: today as it is now. Everybody may see it: it is read once a minute at most.
pub(super) async fn today(State(context): State<Context>) -> Result<Markup, PageError> {
    let now = Timestamp::now();
    let today = time::utc_date(now);
    let read = async {
        let begun = Instant::now();
        let reconciliation = reconcile(&context.settings, TimeRange::of_date(today)?, None).await?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok::<_, OperationError>(Reconciled {
            reconciliation,
            seconds,
        })
    };
    let reading = context.readings.today.get(today, now, read).await;
    Ok(match reading {
        Ok(Reading { at, value }) => {
            let Reconciled {
                reconciliation,
                seconds,
            } = &*value;
            let cu_seconds = reconciliation
                .cu_seconds
                .map(|sum| format!(" and {sum:.4} CU seconds of OneLake"));
            let cost = format!(
                "It took {seconds:.1} s{}: the topics and the rows of today were read.",
                cu_seconds.unwrap_or_default()
            );
            html! {
                p { (findings::summary(reconciliation)) }
                (findings(reconciliation, today))
                (read_at(at, &cost))
                p { "Recorded checks: " a href={ "/days/" (today) } { (today) } }
            }
        }
        // A part of a page: htmx shows no answer with another status.
        Err(error) => problem(&format!("today cannot be reconciled: {error}")),
    })
}

fn how_to_record(location: &str) -> Markup {
    html! {
        p.advice {
            "No date is recorded yet: no table exists at " code { (layout::text(location)) } ". The first "
            code { "xact-pipeline reconcile --yesterday --record" } " creates it. In Azure the job " code { "reconcile" }
            " runs it every night (" code { "az containerapp job start --name caj-…-reconcile" } " does now), elsewhere a timer ("
            code { "systemctl start xact-pipeline-job@reconcile" } ") or compose (" code { "docker compose run --rm reconcile" }
            "). The page of a date records that date."
        }
    }
}
