//! Dead letters: by like reasons, the newest ones, and one with its message. Signatures are hidden.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use clap::Parser;
use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded;

use super::context::Context;
use super::layout::{self, PageError, scroll, text, time};
use super::pairs::Pairs;
use super::settle;
use super::user::User;
use xact_contracts::category::Category;
use xact_contracts::topology::STAGES;
use xact_operations::dead_letters::{
    self, EntryId, EntryState, EntrySummary, EntryView, ListQuery, OriginalContent, ReasonGroup, ReplayOutcome, Secrets,
};

/// Most entries, and most reasons, that a page shows.
const LIMIT: usize = 200;

/// Most characters of a message that a page shows: a dead letter has up to a megabyte.
const MAX_MESSAGE_CHARS: usize = 20_000;

/// The query of the address has the options of `dlq list`, and their errors.
#[derive(Parser)]
#[command(name = "the filter", disable_help_flag = true)]
struct Query {
    #[command(flatten)]
    list: ListQuery,
}

fn parse(pairs: &Pairs) -> Result<ListQuery, PageError> {
    let options = pairs.iter().map(|(name, value)| match name {
        "all" => "--all".to_owned(),
        name => format!("--{name}={value}"),
    });
    let arguments = ["the filter".to_owned()].into_iter().chain(options);
    let query = Query::try_parse_from(arguments).map_err(PageError::of_arguments)?;
    Ok(ListQuery {
        limit: LIMIT,
        ..query.list
    })
}

/// `GET /dead-letters`.
pub(super) async fn page(
    State(context): State<Context>,
    user: User,
    RawQuery(query): RawQuery,
) -> Result<Markup, PageError> {
    let pairs = Pairs::of_query(query.as_deref());
    let query = parse(&pairs)?;
    let found = context.dead_letters.read(move |index| index.page(&query)).await;
    let found = found.map_err(|error| PageError::of_operation(&error, StatusCode::BAD_REQUEST))?;
    let entries = &found.page.entries;
    let matching: u64 = found.groups.iter().map(|group| group.count).sum();
    let content = html! {
        (filter(&pairs))
        p { (HumanCount(found.page.waiting)) " wait, " (HumanCount(found.page.settled)) " were replayed or resolved." }
        @if found.has_older {
            p.advice { "The oldest ones are not on this page: " code { "xact-pipeline dlq list" } " has them." }
        }
        @if entries.is_empty() {
            p { "No dead letter matches." }
        } @else {
            @if user.may_operate() && found.page.waiting > 0 { (settle::links(&pairs, found.page.waiting)) }
            (groups(&found.groups, &pairs))
            h2 { "Newest" }
            @if matching > entries.len() as u64 { p { "The newest " (entries.len()) " of " (HumanCount(matching)) " are shown: filter for the others." } }
            (list(entries))
        }
    };
    Ok(layout::page("/dead-letters", "Dead letters", &user, &content))
}

fn filter(pairs: &Pairs) -> Markup {
    let value = |name: &str| pairs.value(name);
    let choice = |name: &str, values: &[&str]| {
        html! {
            select name=(name) {
                option value="" { "any" }
                @for option in values { option value=(option) selected[value(name) == *option] { (option) } }
            }
        }
    };
    let field = |name: &str| html! { input name=(name) value=(value(name)) maxlength="1000"; };
    html! {
        form.filter method="get" action="/dead-letters" {
            label { "Stage " (choice("stage", &STAGES.map(|row| row.name))) }
            label { "Category " (choice("category", &Category::ALL.map(Category::as_str))) }
            label { "Trace id " (field("trace-id")) }
            label { "Reason " (field("reason")) }
            label { "Since " (field("since")) }
            label { "Until " (field("until")) }
            label { input type="checkbox" name="all" value="yes" checked[!value("all").is_empty()]; " Settled ones too" }
            button { "Filter" }
        }
    }
}

/// Returns the entries by like reasons. Each reason leads to the same page with a filter for it.
fn groups(groups: &[ReasonGroup], filter: &Pairs) -> Markup {
    let when = |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), time);
    html! {
        h2 { "By reason" }
        @if groups.len() > LIMIT { p { "The " (LIMIT) " most frequent of " (HumanCount(groups.len() as u64)) " are shown." } }
        (scroll("By reason", &html! {
            table {
                thead { tr {
                    th.number scope="col" { "Count" } th scope="col" { "Stage" } th scope="col" { "Category" }
                    th scope="col" { "Reason, " code { "#" } " for what differs" } th scope="col" { "First" } th scope="col" { "Last" }
                } }
                tbody {
                    @for group in groups.iter().take(LIMIT) {
                        tr {
                            td.number { (HumanCount(group.count)) }
                            td { (text(group.stage.as_deref().unwrap_or("–"))) }
                            td { (group.category.map_or("–", Category::as_str)) }
                            td.lines { a href={ "/dead-letters?" (filter_of(group, filter).to_query()) } { (text(&group.pattern)) } }
                            td.time { (when(group.first)) }
                            td.time { (when(group.last)) }
                        }
                    }
                }
            }
        }))
    }
}

/// Returns the filter with the conditions of a group.
fn filter_of(group: &ReasonGroup, filter: &Pairs) -> Pairs {
    let stage = group
        .stage
        .as_deref()
        .filter(|stage| STAGES.iter().any(|row| row.name == *stage));
    let conditions = [
        ("reason", Some(group.pattern.as_str())),
        ("stage", stage),
        ("category", group.category.map(Category::as_str)),
    ];
    let mut filter = filter.clone();
    for (name, value) in conditions {
        if let Some(value) = value {
            filter.set(name, value);
        }
    }
    filter
}

fn reason(entry: &EntrySummary) -> String {
    text(entry.reason())
}

fn list(entries: &[EntrySummary]) -> Markup {
    html! {
        (scroll("Newest", &html! {
            table {
                thead { tr {
                    th scope="col" { "Entry" } th scope="col" { "State" } th scope="col" { "Failed at" } th scope="col" { "Stage" }
                    th scope="col" { "Trace id" } th scope="col" { "Reason" }
                } }
                tbody {
                    @for entry in entries {
                        tr {
                            td { a href={ "/dead-letters/" (entry.id) } { (entry.id) } }
                            td { (entry.state) }
                            td.time { (entry.failed_at.map_or_else(|| "–".to_owned(), time)) }
                            td { (text(entry.stage.as_deref().unwrap_or("–"))) }
                            td.lines { @match &entry.trace_id { Some(id) => (find(id)), None => "–" } }
                            td.lines { (reason(entry)) }
                        }
                    }
                }
            }
        }))
    }
}

/// Returns a link to the life of an event.
fn find(trace_id: &str) -> Markup {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("as", "trace-id"), ("id", trace_id)])
        .finish();
    html! { a href={ "/find?" (query) } { (text(trace_id)) } }
}

/// `GET /dead-letters/PARTITION:OFFSET`.
pub(super) async fn entry(
    State(context): State<Context>,
    user: User,
    Path(id): Path<String>,
) -> Result<Markup, PageError> {
    let id: EntryId = id
        .parse()
        .map_err(|error: String| PageError::new(StatusCode::NOT_FOUND, error))?;
    let _search = context.search().await?;
    let found = dead_letters::view(&context.settings, id, Secrets::Redact, Timestamp::now()).await;
    let found = found.map_err(|error| PageError::of_operation(&error, StatusCode::NOT_FOUND))?;
    Ok(layout::page(
        "/dead-letters",
        &format!("Dead letter {id}"),
        &user,
        &view(&found, &user),
    ))
}

fn view(found: &EntryView, user: &User) -> Markup {
    let entry = &found.summary;
    let source = entry.source.as_ref();
    let (replay, command) = match &found.replay {
        ReplayOutcome::Topic(topic) => (format!("goes to {topic}"), "replay"),
        ReplayOutcome::Refused(reason) => (format!("would fail again: {reason}"), "resolve"),
    };
    let fields = [
        ("State", Some(entry.state.to_string())),
        ("Settled at", entry.settled_at.map(time)),
        ("Settled by", entry.settled_by.clone()),
        ("Trace id", entry.trace_id.clone()),
        ("Media id", entry.media_id.map(|id| id.to_string())),
        ("Attachment", entry.attachment_url.clone()),
        ("Failed at", entry.failed_at.map(time)),
        ("Stage", entry.stage.clone()),
        (
            "Read from",
            source.map(|source| format!("{}[{}] offset {}", source.topic, source.partition, source.offset)),
        ),
        (
            "Category",
            entry.error_category.map(|category| category.as_str().to_owned()),
        ),
        ("Reason", Some(reason(entry))),
        (
            "Attempts that failed before",
            entry.retry_count.map(|count| count.to_string()),
        ),
        ("Replays so far", entry.replay_count.map(|count| count.to_string())),
        ("Damaged", found.original_payload_error.clone()),
        ("A replay", Some(replay)),
    ];
    html! {
        dl {
            @for (name, value) in fields {
                @if let Some(value) = value { dt { (name) } dd { (text(&value)) } }
            }
        }
        @if user.may_operate() && entry.state == EntryState::Waiting {
            (settle::links(&Pairs::one(settle::ENTRY, &entry.id.to_string()), 1))
        }
        p { "Command: " code { "xact-pipeline dlq " (command) " " (entry.id) } }
        @if let Some(message) = message(found) {
            h2 { "Message" }
            @let (message, cut) = beginning(&message);
            @if cut > 0 { p { "The first " (MAX_MESSAGE_CHARS) " characters; " (HumanCount(cut as u64)) " bytes more: " code { "xact-pipeline dlq view " (entry.id) } } }
            pre { (message) }
        }
    }
}

/// Returns the message as text, without secrets.
fn message(found: &EntryView) -> Option<String> {
    if let Some(task) = &found.original_task {
        return serde_json::to_string_pretty(task).ok().map(|json| text(&json));
    }
    match &found.original.as_ref()?.content {
        OriginalContent::Text(content) | OriginalContent::Redacted(content) => Some(text(content)),
        OriginalContent::Binary(bytes) => Some(format!("{} bytes that are not text: `dlq view --raw`", bytes.len())),
    }
}

/// Returns as much of a message as a page shows, and how many bytes are left out.
fn beginning(message: &str) -> (&str, usize) {
    let end = message.char_indices().nth(MAX_MESSAGE_CHARS);
    let shown = end.map_or(message, |(end, _)| message.get(..end).unwrap_or_default());
    (shown, message.len() - shown.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_that_of_the_command_and_so_are_its_errors() {
        let parsed = |query| parse(&Pairs::of_query(Some(query)));
        let query = parsed("stage=download&category=&trace-id=%3Cb%3E&all=yes&limit=5000")
            .ok()
            .unwrap();
        assert_eq!(
            (query.filter.trace_id.as_deref(), query.all, query.limit),
            (Some("<b>"), true, LIMIT)
        );
        for query in [
            "stage=uploads",
            "since=yesterday",
            "nonsense=1",
            "partition=x",
            "--help=1",
        ] {
            assert!(parsed(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_huge_message_is_shown_in_part() {
        assert_eq!(beginning("short"), ("short", 0));
        let huge = "ü".repeat(MAX_MESSAGE_CHARS + 3);
        let (shown, cut) = beginning(&huge);
        assert_eq!((shown.chars().count(), cut), (MAX_MESSAGE_CHARS, 6));
    }
}
