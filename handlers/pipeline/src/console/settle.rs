//! Replays and resolves dead letters: a preview of what would be sent and what would fail again, then the action.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use clap::Parser;
use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};

use super::actions::{Ended, Reporter, Resource, Start};
use super::change::Change;
use super::context::Context;
use super::layout::{self, PageError, form_token, scroll, text};
use super::pairs::Pairs;
use super::user::User;
use crate::ui::counted;
use xact_operations::OperationError;
use xact_operations::dead_letters::{
    self, Execution, PlannedEntry, Selection, Settlement, SettlementPlan, reason_pattern,
};

/// The field that names an entry, and may repeat.
pub(super) const ENTRY: &str = "entry";
/// The field with the number of entries that the preview would settle.
const PREVIEWED: &str = "previewed";
/// The field with the number of entries that the preview refused.
const REFUSED: &str = "refused";
/// The field with the end of a partition in the preview.
const BEFORE: &str = "before";
/// Most entries and reasons that a page shows.
const LIMIT: usize = 200;

/// A form has the options of `dlq replay`, and their errors.
#[derive(Parser)]
#[command(name = "the selection", disable_help_flag = true)]
struct Form {
    #[command(flatten)]
    selection: Selection,
}

/// Returns the selection of a form. Without a condition it is everything.
fn selection(pairs: &Pairs) -> Result<Selection, PageError> {
    let mut options = vec!["the selection".to_owned()];
    options.extend(
        pairs
            .iter()
            .filter(|(name, _)| ![ENTRY, PREVIEWED, REFUSED].contains(name))
            .map(|(name, value)| format!("--{name}={value}")),
    );
    options.push("--".to_owned());
    options.extend(
        pairs
            .iter()
            .filter(|(name, _)| *name == ENTRY)
            .map(|(_, id)| id.to_owned()),
    );
    let mut selection = Form::try_parse_from(options)
        .map_err(PageError::of_arguments)?
        .selection;
    selection.everything = selection.entries.is_empty() && selection.filter.is_empty();
    Ok(selection)
}

/// What a settlement is called.
struct Words {
    path: &'static str,
    verb: &'static str,
    title: &'static str,
}

fn words(settlement: Settlement) -> Words {
    match settlement {
        Settlement::Replayed => Words {
            path: "/dead-letters/replay",
            verb: "replay",
            title: "Replay",
        },
        Settlement::Resolved => Words {
            path: "/dead-letters/resolve",
            verb: "resolve",
            title: "Resolve",
        },
    }
}

/// Returns the links to the previews of both settlements.
pub(super) fn links(pairs: &Pairs, waiting: u64) -> Markup {
    let mut pairs = pairs.clone();
    for of_the_list in ["all", "limit"] {
        pairs.take(of_the_list);
    }
    let query = pairs.to_query();
    html! {
        p.buttons {
            @for settlement in [Settlement::Replayed, Settlement::Resolved] {
                @let Words { path, title, .. } = words(settlement);
                a.button href={ (path) "?" (query) } { (title) " " (HumanCount(waiting)) " …" }
            }
        }
    }
}

/// `GET /dead-letters/replay`.
pub(super) async fn preview_replay(context: State<Context>, user: User, query: RawQuery) -> Result<Markup, PageError> {
    preview(context, user, query, Settlement::Replayed).await
}

/// `GET /dead-letters/resolve`.
pub(super) async fn preview_resolve(context: State<Context>, user: User, query: RawQuery) -> Result<Markup, PageError> {
    preview(context, user, query, Settlement::Resolved).await
}

/// `POST /dead-letters/replay`.
pub(super) async fn replay(context: State<Context>, change: Change) -> Result<Response, PageError> {
    settle(&context, change, Settlement::Replayed)
}

/// `POST /dead-letters/resolve`.
pub(super) async fn resolve(context: State<Context>, change: Change) -> Result<Response, PageError> {
    settle(&context, change, Settlement::Resolved)
}

async fn preview(
    State(context): State<Context>,
    user: User,
    RawQuery(query): RawQuery,
    settlement: Settlement,
) -> Result<Markup, PageError> {
    let pairs = Pairs::of_query(query.as_deref());
    let selection = selection(&pairs)?;
    let _search = context.search().await?;
    let plan = dead_letters::plan(&context.settings, selection, settlement, Timestamp::now()).await;
    let plan = plan.map_err(|error| PageError::of_operation(&error, StatusCode::BAD_REQUEST))?;
    let title = format!("{} dead letters", words(settlement).title);
    Ok(layout::page(
        "/dead-letters",
        &title,
        &user,
        &previewed(&plan, &pairs, &user),
    ))
}

fn previewed(plan: &SettlementPlan, pairs: &Pairs, user: &User) -> Markup {
    let Words { path, title, .. } = words(plan.settlement);
    let planned = plan.planned().count();
    html! {
        @if planned == 0 { p { "No selected entry can be settled." } }
        @match plan.settlement {
            Settlement::Replayed if planned > 0 => {
                p { (counted(planned, "message")) " would be sent:" }
                ul { @for (topic, count) in plan.by_topic() { li { (HumanCount(count as u64)) " to " (text(topic)) } } }
            }
            Settlement::Resolved if planned > 0 => p { (counted(planned, "dead letter")) " would be marked as dealt with; nothing is sent." },
            _ => {}
        }
        @if plan.refused() > 0 { (refused(plan)) }
        @if planned > 0 && user.may_operate() {
            form method="post" action=(path) {
                (form_token(user))
                @for (name, value) in pairs.iter().filter(|(name, _)| *name != BEFORE) { input type="hidden" name=(name) value=(value); }
                // What comes after this preview is not part of it.
                @for end in &plan.ends { input type="hidden" name=(BEFORE) value=(end); }
                input type="hidden" name=(PREVIEWED) value=(planned);
                input type="hidden" name=(REFUSED) value=(plan.refused());
                button { (title) " " (HumanCount(planned as u64)) }
            }
        }
        p { a href="/dead-letters" { "Back" } }
        @if planned > 0 {
            h2 { "Entries" }
            @if planned > LIMIT { p { "The first " (LIMIT) " are shown." } }
            (entries(plan.planned().take(LIMIT)))
        }
    }
}

/// Returns what is not done, by like reasons.
fn refused(plan: &SettlementPlan) -> Markup {
    let mut reasons: BTreeMap<String, (usize, &PlannedEntry)> = BTreeMap::new();
    for entry in plan.entries.iter().filter(|entry| !entry.is_planned()) {
        let (count, _) = reasons.entry(reason_pattern(&entry.detail)).or_insert((0, entry));
        *count += 1;
    }
    let mut reasons: Vec<_> = reasons.into_values().collect();
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let what = match plan.settlement {
        Settlement::Replayed => "would fail again, or are settled already",
        Settlement::Resolved => "are settled already",
    };
    html! {
        h2 { (HumanCount(plan.refused() as u64)) " of them " (what) }
        (scroll("What is not done", &html! {
            table {
                thead { tr { th.number scope="col" { "Count" } th scope="col" { "Reason, for example" } th scope="col" { "Entry" } } }
                tbody {
                    @for (count, example) in reasons.iter().take(LIMIT) {
                        tr {
                            td.number { (HumanCount(*count as u64)) }
                            td.lines { (text(&example.detail)) }
                            td { a href={ "/dead-letters/" (example.id) } { (example.id) } }
                        }
                    }
                }
            }
        }))
    }
}

fn entries<'a>(entries: impl Iterator<Item = &'a PlannedEntry>) -> Markup {
    html! {
        (scroll("Entries", &html! {
            table {
                thead { tr { th scope="col" { "Entry" } th scope="col" { "Trace id" } th scope="col" { "What" } } }
                tbody {
                    @for entry in entries {
                        tr {
                            td { a href={ "/dead-letters/" (entry.id) } { (entry.id) } }
                            td.lines { (text(entry.trace_id.as_deref().unwrap_or("–"))) }
                            td.lines { (text(&entry.detail)) }
                        }
                    }
                }
            }
        }))
    }
}

fn settle(context: &Context, change: Change, settlement: Settlement) -> Result<Response, PageError> {
    let Change { user, form } = change;
    let count = |field: &str| form.value(field).parse::<usize>().ok();
    let previewed = count(PREVIEWED);
    let previewed_refused = count(REFUSED).unwrap_or_default();
    let selection = selection(&form)?;
    let name = name(settlement, &form, previewed);
    let (settings, by) = (context.settings.clone(), user.name.clone());
    let start = Start {
        name,
        resource: Resource::DeadLetters,
        back: "/dead-letters",
    };
    context.actions.start(&user, start, |reporter: Reporter| async move {
        // The plan is made again: others may have settled some of the entries since the preview.
        let plan = dead_letters::plan(&settings, selection, settlement, Timestamp::now()).await?;
        let (planned, refused) = (plan.planned().count(), plan.refused());
        let not_done = html! { @if refused > 0 { (self::refused(&plan)) } };
        let mut done = 0;
        reporter.done(0, planned);
        let execution = dead_letters::execute(&settings, plan, &by, |batch| {
            done += batch.len();
            reporter.done(done, planned);
        });
        let execution = execution.await?;
        let seen = previewed.unwrap_or(planned) + previewed_refused;
        let settlement = Settled {
            settlement,
            execution,
            refused,
            refused_in_preview: previewed_refused,
            settled_before: seen.saturating_sub(planned + refused),
        };
        Ok::<_, OperationError>(settlement.ended(not_done))
    })
}

/// Says what the action does, with its selection.
fn name(settlement: Settlement, form: &Pairs, previewed: Option<usize>) -> String {
    let count = previewed.map_or_else(|| "dead letters".to_owned(), |count| counted(count, "dead letter"));
    let conditions = form
        .iter()
        .filter(|(name, _)| ![PREVIEWED, REFUSED, BEFORE].contains(name));
    let conditions: Vec<String> = conditions.map(|(name, value)| format!("{name} {value}")).collect();
    let verb = words(settlement).verb;
    if conditions.is_empty() {
        format!("{verb} {count}")
    } else {
        text(&format!("{verb} {count}: {}", conditions.join(", ")))
    }
}

/// What came of a settlement.
struct Settled {
    settlement: Settlement,
    execution: Execution,
    refused: usize,
    refused_in_preview: usize,
    /// Entries of the preview that somebody else had settled before the action began.
    settled_before: usize,
}

impl Settled {
    fn ended(&self, content: Markup) -> Ended {
        let Self {
            settlement,
            execution,
            refused,
            ..
        } = self;
        let mut summary = format!("{} {settlement}", HumanCount(execution.settled as u64));
        if *refused > 0 {
            summary.push_str(&format!(", {refused} refused"));
        }
        let by_others = execution.settled_meanwhile + self.settled_before;
        if by_others > 0 {
            summary.push_str(&format!(
                ", {by_others} of the preview were settled by somebody else meanwhile"
            ));
        }
        Ended {
            is_well: execution.settled > 0 && *refused <= self.refused_in_preview,
            summary,
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_selects_as_the_command_does_and_everything_without_a_condition() {
        let of = |query: &str| selection(&Pairs::of_query(Some(query)));
        let selected = of("stage=download&reason=HTTP+%23&before=0:7&before=1:0&previewed=3")
            .ok()
            .unwrap();
        assert!(!selected.everything && selected.filter.stage.is_some());
        assert_eq!(
            (selected.filter.reason.as_deref(), selected.before.len()),
            (Some("HTTP #"), 2)
        );
        let named = of("entry=0:7&entry=1:2").ok().unwrap();
        assert_eq!((named.entries.len(), named.everything), (2, false));
        assert!(of("before=0:7").ok().unwrap().everything);
        for wrong in [
            "entry=x",
            "entry=--everything",
            "before=1",
            "stage=uploads",
            "yes=1",
            "entry=--help",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_says_what_is_selected_without_secrets() {
        let form = Pairs::of_query(Some(
            "reason=from+https://a.example/b?sig%3DSECRET&before=0:7&previewed=2",
        ));
        let name = name(Settlement::Replayed, &form, Some(2));
        assert!(
            name.starts_with("replay 2 dead letters: reason from https://a.example/b") && !name.contains("SECRET"),
            "{name}"
        );
    }

    #[test]
    fn an_end_is_well_if_something_was_settled_and_no_more_was_refused_than_in_the_preview() {
        for (counts, is_well, summary) in [
            ([2, 0, 1, 1, 0], true, "2 replayed, 1 refused"),
            ([1, 0, 3, 1, 0], false, "1 replayed, 3 refused"),
            (
                [0, 0, 0, 0, 2],
                false,
                "0 replayed, 2 of the preview were settled by somebody else meanwhile",
            ),
            (
                [1, 1, 0, 0, 1],
                true,
                "1 replayed, 2 of the preview were settled by somebody else meanwhile",
            ),
        ] {
            let [settled, settled_meanwhile, refused, refused_in_preview, settled_before] = counts;
            let settled = Settled {
                settlement: Settlement::Replayed,
                execution: Execution {
                    settled,
                    settled_meanwhile,
                },
                refused,
                refused_in_preview,
                settled_before,
            };
            let ended = settled.ended(html! {});
            assert_eq!((ended.is_well, ended.summary.as_str()), (is_well, summary));
        }
    }
}
