//! Find: the life of an event, by any of its ids.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clap::{Parser, ValueEnum};
use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::context::Context;
use super::layout::{self, PageError, problem, scroll, text, time};
use super::user::User;
use crate::ui::step::{place, step_text};
use xact_operations::trace::{AttachmentLife, EventLife, IdKind, Next, Outcome, Searched, Trace, TraceRequest, trace};

/// The query of the address.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    id: String,
    /// What the id is; empty: what it looks like.
    #[serde(default, rename = "as")]
    kind: String,
    /// Search only the rows of events of this date.
    #[serde(default)]
    date: String,
}

/// The limits of `trace`, which has their defaults.
#[derive(Parser)]
#[command(name = "the search", disable_help_flag = true)]
struct Arguments {
    #[command(flatten)]
    request: TraceRequest,
}

impl Wanted {
    fn request(&self) -> Result<TraceRequest, PageError> {
        let options = [("as", &self.kind), ("date", &self.date)];
        let options = options.into_iter().filter(|(_, value)| !value.is_empty());
        let options = options.map(|(name, value)| format!("--{name}={value}"));
        Arguments::try_parse_from(["the search".to_owned()].into_iter().chain(options))
            .map(|arguments| arguments.request)
            .map_err(PageError::of_arguments)
    }
}

/// `GET /find?id=ID`: without an id, only the form.
pub(super) async fn page(
    State(context): State<Context>,
    user: User,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    if wanted.id.trim().is_empty() {
        return Ok(layout::page("/find", "Find", &user, &form(&wanted)).into_response());
    }
    let request = wanted.request()?;
    let _search = context.search().await?;
    let found = trace(&context.settings, &wanted.id, &request, Timestamp::now()).await;
    let found = found.map_err(|error| PageError::of_operation(&error, StatusCode::BAD_REQUEST))?;
    let status = match found.outcome {
        Outcome::NotFound => StatusCode::NOT_FOUND,
        Outcome::Found | Outcome::List => StatusCode::OK,
    };
    let content = html! { (form(&wanted)) (answer(&found)) };
    Ok((status, layout::page("/find", "Find", &user, &content)).into_response())
}

fn form(wanted: &Wanted) -> Markup {
    let kinds = IdKind::value_variants()
        .iter()
        .filter_map(|kind| Some((kind.to_possible_value()?, kind.to_string())));
    html! {
        form.filter method="get" action="/find" {
            // An id may be a URL with a signature, which is not written back.
            label { "Trace id, media id, assignment id, claim number, blob path or URL "
                input.wide name="id" required maxlength="8192" autofocus[wanted.id.is_empty()]; }
            label { "It is "
                select name="as" {
                    option value="" { "what it looks like" }
                    @for (value, name) in kinds {
                        option value=(value.get_name()) selected[value.get_name() == wanted.kind] { (name) }
                    }
                }
            }
            label { "Date of the event " input type="date" name="date" value=(wanted.date); }
            button { "Find" }
        }
    }
}

fn answer(found: &Trace) -> Markup {
    html! {
        @match (&found.event, found.outcome) {
            (Some(event), _) => (event_of(event)),
            (None, Outcome::List) => (matches(found)),
            (None, _) => (problem(&format!("{}: nothing was found", found.id))),
        }
        @for advice in &found.advice { p.advice { (text(advice)) } }
        @for unread in &found.unread { (problem(&format!("not read: {unread}"))) }
        (searched(&found.searched))
    }
}

fn event_of(event: &EventLife) -> Markup {
    let row = event.row.row.as_ref();
    let row = row.map(|row| {
        format!(
            "{} of {}, in version {}: ",
            row.table, row.event_date, row.table_version
        )
    });
    let facts = [
        ("Type", event.event_type.clone()),
        ("Assignment", event.assignment_id.clone()),
        ("Claim", event.claim_number.clone()),
        ("Time", event.event_timestamp.map(time)),
        (
            "Row",
            Some(format!("{}{}", row.unwrap_or_default(), event.row.next.text)),
        ),
    ];
    html! {
        h2 { "Event " (text(&event.trace_id)) }
        dl {
            @for (name, value) in facts {
                @if let Some(value) = value { dt { (name) } dd { (text(&value)) } }
            }
            @for source in &event.received {
                dt { "Received" } dd { (text(&place(source))) @if let Some(at) = source.timestamp { " at " (time(at)) } }
            }
            @for link in &event.traces {
                dt { "Trace" }
                // The template is a setting; the id in it is hexadecimal.
                dd { @match &link.url { Some(url) if is_web(url) => a href=(url) { (link.id) }, _ => (link.id) } }
            }
        }
        @for note in &event.notes { p.advice { (text(note)) } }
        @for (index, attachment) in event.attachments.iter().enumerate() {
            (life(attachment, &format!("Attachment {} of {}", index + 1, event.attachments.len())))
        }
        @for letter in &event.dead_letters { (life(letter, "Message")) }
    }
}

/// Returns whether an address may be a link: others, such as `javascript:`, would run in this page.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Returns the page of the lakehouse that a file in OneLake is in. The address must have ids, since those of names differ. The
/// file's own address needs a token, which a browser does not send.
fn lakehouse(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let is_one_lake = url.scheme() == "https" && url.host_str()?.ends_with(".fabric.microsoft.com");
    let mut ids = url.path_segments()?.map(|part| part.parse::<Uuid>().ok());
    let (workspace, item) = (ids.next()??, ids.next()??);
    is_one_lake.then(|| format!("https://app.fabric.microsoft.com/groups/{workspace}/lakehouses/{item}"))
}

fn life(attachment: &AttachmentLife, name: &str) -> Markup {
    let state = attachment.state.to_string();
    let facts = [
        ("URL", attachment.attachment_url.clone()),
        ("Media id", attachment.media_id.map(|id| id.to_string())),
        ("Path", attachment.blob_path.clone()),
        ("Bytes", attachment.bytes.map(|bytes| HumanCount(bytes).to_string())),
        ("SHA-256", attachment.sha256.clone()),
    ];
    html! {
        section {
            h3 { (name) @if attachment.asked_for { " (asked for)" } ": " span.state data-state=(state) { (state.replace('_', " ")) } }
            dl {
                @for (name, value) in facts {
                    @if let Some(value) = value { dt { (name) } dd { (text(&value)) } }
                }
                @if let Some(address) = &attachment.file {
                    dt { "File" }
                    dd { (text(address)) @if let Some(url) = lakehouse(address) { " (" a href=(url) { "the lakehouse in Fabric" } ")" } }
                }
            }
            ol.steps {
                @for step in &attachment.steps {
                    li { (text(&step_text(step))) @if let Some(entry) = &step.dead_letter { " " a href={ "/dead-letters/" (entry) } { "view" } } }
                }
            }
            (next(&attachment.next))
        }
    }
}

fn next(next: &Next) -> Markup {
    html! {
        p { "Next: " (text(&next.text)) }
        @if let Some(command) = &next.command { p { code { (text(command)) } } }
    }
}

fn matches(found: &Trace) -> Markup {
    let dash = |value: Option<&String>| value.map_or_else(|| "–".to_owned(), |value| text(value));
    html! {
        @if found.more_matches { p { "There are more: choose a date." } }
        (scroll("Events", &html! {
            table {
                caption { "Events of " (text(&found.id)) }
                thead { tr { th scope="col" { "Time" } th scope="col" { "Trace id" } th scope="col" { "Type" }
                    th scope="col" { "Assignment" } th scope="col" { "Claim" } } }
                tbody {
                    @for event in &found.matches {
                        tr {
                            td.time { (event.event_timestamp.map_or_else(|| "–".to_owned(), time)) }
                            td.lines {
                                form method="get" action="/find" {
                                    input type="hidden" name="as" value="trace-id";
                                    button name="id" value=(event.trace_id) { (text(&event.trace_id)) }
                                }
                            }
                            td { (dash(event.event_type.as_ref())) }
                            td { (dash(event.assignment_id.as_ref())) }
                            td { (dash(event.claim_number.as_ref())) }
                        }
                    }
                }
            }
        }))
    }
}

fn searched(searched: &Searched) -> Markup {
    html! {
        details {
            summary { "Searched " (searched.topics.len()) " partitions (" (HumanCount(searched.records)) " records, "
                (HumanBytes(searched.bytes)) ") and " (searched.tables.len()) " tables" }
            ul {
                @for partition in &searched.topics {
                    li { (text(&partition.topic)) "[" (partition.partition) "] from offset " (partition.from) " to " (partition.to) }
                }
                @for table in &searched.tables {
                    li { (table.table) " by " (table.by) ": " (table.dates.len()) " dates, " (table.files) " files" }
                }
            }
        }
        @if let Some(cost) = &searched.cost { p.cost { (cost) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_has_every_kind_and_never_the_id() {
        let wanted = Wanted {
            id: "https://a.example/b?sig=SECRET".to_owned(),
            kind: "url".to_owned(),
            date: String::new(),
        };
        assert!(wanted.request().is_ok());
        let shown = form(&wanted).into_string();
        assert!(
            shown.contains(r#"value="claim-number""#) && shown.contains(r#"value="url" selected"#),
            "{shown}"
        );
        assert!(!shown.contains("SECRET"));
        for (kind, date) in [("nonsense", ""), ("", "yesterday")] {
            let wanted = Wanted {
                id: "a".to_owned(),
                kind: kind.to_owned(),
                date: date.to_owned(),
            };
            assert!(wanted.request().is_err(), "{kind} {date}");
        }
    }

    #[test]
    fn only_addresses_of_the_web_become_links() {
        assert!(is_web("https://a.example/1") && !is_web("javascript:alert(1)"));
    }

    #[test]
    fn only_files_in_one_lake_that_is_addressed_by_ids_have_a_page() {
        let ids = "7e602ac6-c1c2-4da4-a3d9-e4816740af62/2d264649-887c-47d5-9aa5-2eba8adb1926";
        let expected = "https://app.fabric.microsoft.com/groups/7e602ac6-c1c2-4da4-a3d9-e4816740af62/lakehouses/2d264649-887c-47d5-9aa5-2eba8adb1926";
        let found = lakehouse(&format!("https://onelake.dfs.fabric.microsoft.com/{ids}/Files/a.pdf"));
        assert_eq!(found.as_deref(), Some(expected));
        for other in [
            "https://onelake.dfs.fabric.microsoft.com/claims/Lake.Lakehouse/Files/a.pdf",
            "https://onelake.dfs.fabric.microsoft.com/",
            &format!("https://127.0.0.1:7/{ids}/Files/a.pdf"),
            "file:///data/a.pdf",
        ] {
            assert_eq!(lakehouse(other), None, "{other}");
        }
    }
}
