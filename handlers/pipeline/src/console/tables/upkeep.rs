//! What `maintain` would do, and doing it.

use axum::extract::State;
use axum::response::Response;
use clap::Parser;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::console::actions::{Ended, Resource, Start};
use crate::console::change::Change;
use crate::console::context::Context;
use crate::console::layout::{PageError, form_token, problem, read_at, text};
use crate::console::pairs::Pairs;
use crate::console::user::User;
use crate::ui::upkeep::{done_lines, plan_lines};
use xact_operations::OperationError;
use xact_operations::tables::{UpkeepFailure, UpkeepLimits, UpkeepPlan, plan_upkeep, upkeep};

/// The form has the options of `maintain`, with their ranges and errors.
#[derive(Parser)]
#[command(name = "the limits", disable_help_flag = true)]
struct Limits {
    #[command(flatten)]
    limits: UpkeepLimits,
}

fn limits(form: &Pairs) -> Result<UpkeepLimits, PageError> {
    let options = form.iter().map(|(name, value)| format!("--{name}={value}"));
    Limits::try_parse_from(["the limits".to_owned()].into_iter().chain(options))
        .map(|arguments| arguments.limits)
        .map_err(PageError::of_arguments)
}

/// Returns the part of the page about upkeep.
pub(super) fn section(user: &User) -> Markup {
    html! {
        section {
            h2 { "Upkeep" }
            p {
                code { "xact-pipeline maintain" } " rewrites small files as larger ones, writes a checkpoint, and deletes old log entries, "
                "files that no version of the last week uses, and unfinished uploads. It changes no row, and is safe while handlers write. "
                "The job does it every night."
            }
            div #plan {
                p { a href="/tables/plan" hx-get="/tables/plan" hx-target="#plan" { "Show what it would do" }
                    ": reads the logs of the tables and lists their files; " code { "xact-pipeline maintain --dry-run" } " does the same." }
            }
            @if user.may_operate() {
                form.filter method="post" action="/tables/maintain" {
                    (form_token(user))
                    label { "At most minutes " input type="number" name="max-minutes" value="30" min="1" max="1440" required; }
                    label { "At most CU seconds of OneLake " input type="number" name="max-cu-seconds" min="0.0001" step="any" placeholder="any number"; }
                    button { "Maintain now" }
                }
                p { "The step that reaches a limit is finished and no other begins; the next run continues." }
            } @else {
                p { "Somebody with the role operate can start it." }
            }
        }
    }
}

/// `GET /tables/plan`: what `maintain` would do. Nothing is written.
pub(in crate::console) async fn plan(State(context): State<Context>) -> Result<Markup, PageError> {
    let limits = limits(&Pairs::default())?;
    let read = async { Ok::<UpkeepPlan, OperationError>(plan_upkeep(&context.settings, limits).await) };
    let reading = context.readings.plan.get((), Timestamp::now(), read).await;
    Ok(match reading {
        Ok(reading) => html! {
            (outcome(&plan_lines(&reading.value), &reading.value.failures))
            (read_at(reading.at, ""))
        },
        Err(error) => problem(&error.to_string()),
    })
}

fn outcome(lines: &[String], failures: &[UpkeepFailure]) -> Markup {
    html! {
        @for failure in failures { (problem(&format!("{}: {}", failure.of, failure.reason))) }
        pre { (text(&lines.join("\n"))) }
    }
}

/// `POST /tables/maintain`.
pub(in crate::console) async fn maintain(
    State(context): State<Context>,
    change: Change,
) -> Result<Response, PageError> {
    let limits = limits(&change.form)?;
    let at_most = limits.max_cu_seconds.map(|sum| format!(" and {sum} CU seconds"));
    let start = Start {
        name: format!(
            "maintain, at most {} minutes{}",
            limits.max_minutes,
            at_most.unwrap_or_default()
        ),
        resource: Resource::Tables,
        back: "/tables",
    };
    let work = context.clone();
    context.actions.start(&change.user, start, |_| run(work, limits))
}

async fn run(context: Context, limits: UpkeepLimits) -> Result<Ended, OperationError> {
    let done = upkeep(&context.settings, limits).await;
    context.readings.maintained();
    let summary = match (done.failures.len(), done.stopped_by) {
        (0, None) => "Everything is maintained.".to_owned(),
        (0, Some(option)) => format!("{option} is reached; another run continues."),
        (failures, None) => format!("{failures} of the tables and files could not be maintained; the others were."),
        (failures, Some(option)) => format!(
            "{failures} of the tables and files could not be maintained, and {option} is reached; another run continues."
        ),
    };
    Ok(Ended {
        is_well: done.failures.is_empty() && done.stopped_by.is_none(),
        summary,
        content: outcome(&done_lines(&done), &done.failures),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_has_the_limits_of_the_command() {
        let parse = |form: &str| limits(&Pairs::parse(form.as_bytes())).ok();
        let parsed = parse("max-minutes=5&max-cu-seconds=0.5").unwrap();
        assert_eq!(
            (parsed.max_minutes, parsed.max_cu_seconds, parsed.retain_hours),
            (5, Some(0.5), 168)
        );
        assert_eq!(parse("max-minutes=7&max-cu-seconds=").unwrap().max_cu_seconds, None);
        for wrong in [
            "max-minutes=0",
            "max-minutes=x",
            "max-cu-seconds=-1",
            "max-cu-seconds=NaN",
            "retain-hours=1",
            "yes=true",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
