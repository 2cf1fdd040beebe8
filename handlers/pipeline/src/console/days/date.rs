//! One date: all of its recorded checks, and its reconciliation as an action.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use super::calendar::{counts, number, state};
use super::findings::{findings, summary};
use super::month::{Month, parse_date};
use crate::console::actions::{Ended, Resource, Start};
use crate::console::cached::Reading;
use crate::console::change::Change;
use crate::console::context::Context;
use crate::console::layout::{self, PageError, form_token, problem, read_at, scroll, text, time};
use crate::console::user::User;
use xact_contracts::time::utc_date;
use xact_lake::ReconciliationRow;
use xact_operations::OperationError;
use xact_operations::reconcile::{History, Record, TimeRange, history as read_history, reconcile};

/// Returns what was recorded from one date to another.
pub(super) async fn history(
    context: &Context,
    first: Date,
    last: Date,
    now: Timestamp,
) -> Result<Reading<History>, OperationError> {
    let read = read_history(&context.settings, first, last);
    context.readings.history.get((first, last), now, read).await
}

/// Returns what reading a history cost.
pub(super) fn cost_of(history: &History) -> String {
    let cost = history.cost.as_ref().map(|cost| format!(" {cost}."));
    format!("Files read: {}.{}", history.files, cost.unwrap_or_default())
}

fn parse(text: &str) -> Result<Date, PageError> {
    parse_date(text).ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "the date must be one such as 2026-11-29"))
}

/// `GET /days/DATE`.
pub(in crate::console) async fn page(
    State(context): State<Context>,
    user: User,
    Path(date): Path<String>,
) -> Result<Markup, PageError> {
    let date = parse(&date)?;
    let recorded = match history(&context, date, date, Timestamp::now()).await {
        Ok(recorded) => Ok(recorded),
        Err(error @ OperationError::OpenTable(_)) => Err(error),
        Err(error) => return Err(PageError::of_operation(&error, StatusCode::BAD_GATEWAY)),
    };
    let content = html! {
        p { a href={ "/days?month=" (Month::of(date)) } { "Days of " (Month::of(date)) } }
        @match &recorded {
            Ok(Reading { at, value: history }) => {
                (checks(&history.rows))
                (read_at(*at, &cost_of(history)))
            }
            Err(error) => (problem(&error.to_string())),
        }
        h2 { "Reconcile" }
        p {
            "Reads the records of the topics and the rows of this date, and lists what is missing or duplicate. It changes no row "
            "of an event. While records wait, they count as in their place."
        }
        @if user.may_operate() {
            form.filter method="post" action={ "/days/" (date) "/reconcile" } {
                (form_token(&user))
                @if recorded.is_ok() {
                    label { input type="checkbox" name="record" value="yes"; " Record it: append a row to xact_reconciliation" }
                }
                button { "Reconcile now" }
            }
        } @else {
            p { "Somebody with the role operate can start it." }
        }
    };
    Ok(layout::page("/days", &date.to_string(), &user, &content))
}

fn checks(rows: &[ReconciliationRow]) -> Markup {
    html! {
        @if rows.is_empty() { p { "No check of this date is recorded." } } @else {
            (scroll("Recorded checks", &html! { table {
                caption { "Recorded checks, the newest first: it counts." }
                thead { tr {
                    th scope="col" { "Checked at" } th scope="col" { "State" } th scope="col" { "Counts" }
                    th.number scope="col" { "CU seconds" } th scope="col" { "Version" }
                } }
                tbody {
                    @for row in rows {
                        @let (state, words) = state(row);
                        tr {
                            th scope="row" { (time(row.checked_at)) }
                            td { span.state data-state=(state) { (words) } }
                            td { @for (index, (name, count)) in counts(row).into_iter().enumerate() {
                                @if index > 0 { ", " } (number(count)) " " (name)
                            } }
                            td.number { (row.cu_seconds.map_or_else(|| "–".to_owned(), |sum| format!("{sum:.4}"))) }
                            td { (text(&row.program_version)) }
                        }
                    }
                }
            } }))
        }
    }
}

/// `POST /days/DATE/reconcile`: `record` appends a row.
pub(in crate::console) async fn reconcile_now(
    State(context): State<Context>,
    Path(date): Path<String>,
    change: Change,
) -> Result<Response, PageError> {
    let date = parse(&date)?;
    let is_recorded = !change.form.value("record").is_empty();
    let start = Start {
        name: format!("reconcile {date}{}", if is_recorded { " and record it" } else { "" }),
        resource: Resource::Reconciliation,
        back: "/days",
    };
    let work = context.clone();
    context
        .actions
        .start(&change.user, start, |_| run(work, date, is_recorded))
}

async fn run(context: Context, date: Date, is_recorded: bool) -> Result<Ended, OperationError> {
    let now = Timestamp::now();
    let range = TimeRange::of_date(date)?;
    let mut record = is_recorded
        .then(|| Record::new(&context.settings, range, now))
        .transpose()?;
    let mut reconciliation = reconcile(&context.settings, range, record.as_mut()).await?;
    // What was found is shown also if it cannot be recorded.
    let recorded = match record {
        Some(record) => record.append(&mut reconciliation).await,
        None => Ok(()),
    };
    context.readings.recorded();
    if date == utc_date(now) {
        context.readings.today.forget();
    }
    let place = reconciliation.recorded.as_ref().map(|recorded| text(&recorded.table));
    Ok(Ended {
        is_well: reconciliation.well && recorded.is_ok(),
        summary: match &recorded {
            Ok(()) => summary(&reconciliation),
            Err(error) => format!("{} It could not be recorded: {error}", summary(&reconciliation)),
        },
        content: html! {
            @if let Some(place) = place { p { "Recorded in " (place) "." } }
            (findings(&reconciliation, date))
            @if let Some(sum) = reconciliation.cu_seconds { p.cost { (format!("{sum:.4} CU seconds of OneLake")) } }
            p { a href={ "/days/" (date) } { "Checks of " (date) } }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::days::calendar::tests::row;

    #[test]
    fn every_check_of_a_date_is_shown() {
        let date = Date::constant(2026, 11, 29);
        let rows = ["2026-11-30T05:00:00Z", "2026-11-30T04:00:00Z"].map(|at| row(date, at));
        let shown = checks(&rows).into_string();
        assert!(
            shown.contains("2026-11-30 05:00:00") && shown.contains("2026-11-30 04:00:00"),
            "{shown}"
        );
        assert!(shown.contains("1,200 events, 5 attachments, 5 completed"), "{shown}");
        assert!(checks(&[]).into_string().contains("No check"));
    }
}
