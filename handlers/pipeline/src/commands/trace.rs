//! `trace ID`: the life of an event, as a timeline for each attachment.

use std::fmt::Write;

use clap::Args;
use console::Style;
use jiff::Timestamp;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::step::{one_line, place, step_text};
use crate::ui::text::{cell, marked, visible};
use crate::ui::{self, Table, counted, or_dash};
use xact_config::{Environment, Settings};
use xact_operations::trace::{
    AttachmentLife, AttachmentState, EventLife, Match, Next, Outcome, Searched, Trace, TraceRequest, trace,
};

/// Maximum number of attachments in the text answer.
const MAX_ATTACHMENTS: usize = 20;

/// Which event.
///
/// ID is a trace id, media id, assignment id, claim number, blob path, or attachment URL, as the event has it or redacted.
/// Exit 0: found, and everything of it is done or on its way; 1: found, and something has failed, is missing, or could not
/// be read; 3: nothing was found; 2: the search could not be carried out.
///
/// All messages of an event are in one partition of each topic, and its rows are found by key filters, so a trace id costs
/// little. Other ids are first searched for in the raw topic and in columns of the tables. The answer states what was
/// searched, and what that cost.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct TraceId {
    /// The id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    request: TraceRequest,
    #[command(flatten)]
    output: Output,
}

/// Prints the life of the event.
pub(crate) async fn run(environment: &Environment, arguments: TraceId) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let progress = Progress::start("searching topics and tables");
    let answer = trace(&settings, &arguments.id, &arguments.request, Timestamp::now()).await;
    drop(progress);
    let answer = answer?;
    arguments.output.print(&answer, print)?;
    Ok(match answer.outcome {
        Outcome::NotFound => ExitStatus::NotFound,
        Outcome::Found | Outcome::List => ExitStatus::from(answer.in_order),
    })
}

/// Everything that comes from events is escaped.
fn print(answer: &Trace) {
    match (&answer.event, answer.found_as) {
        (Some(event), kind) => {
            let kind = kind.map(|kind| format!(", found by {kind}")).unwrap_or_default();
            ui::verbatim(event_text(event, &kind));
        }
        (None, _) if answer.outcome == Outcome::List => print_matches(answer),
        (None, _) => ui::line(format_args!("{}: nothing was found", cell(&answer.id))),
    }
    ui::verbatim(searched_text(&answer.searched));
    for source in &answer.unread {
        ui::note(format_args!("not read: {}", visible(source)));
    }
    for advice in &answer.advice {
        ui::note(visible(advice));
    }
}

fn print_matches(answer: &Trace) {
    let mut table = Table::new(&["event time", "trace id", "type", "assignment", "claim", "found in"]);
    table.add_rows(answer.matches.iter().map(match_row));
    table.print();
    let more = if answer.more_matches {
        ", and there are more"
    } else {
        ""
    };
    let events = counted(answer.matches.len(), "event");
    let kind = or_dash(answer.found_as);
    ui::line(format_args!("{events} of {kind} {}{more}", cell(&answer.id)));
}

fn match_row(found: &Match) -> [String; 6] {
    let text = |text: Option<&String>| or_dash(text.map(|text| cell(text)));
    [
        or_dash(found.event_timestamp.map(|at| format!("{at:.0}"))),
        cell(&found.trace_id),
        text(found.event_type.as_ref()),
        text(found.assignment_id.as_ref()),
        text(found.claim_number.as_ref()),
        cell(&found.found_in),
    ]
}

fn event_text(event: &EventLife, kind: &str) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{}", one_line(value));
    };
    line("event", &format!("{}{kind}", event.trace_id));
    let facts = [
        ("type", event.event_type.as_deref()),
        ("assignment", event.assignment_id.as_deref()),
        ("claim", event.claim_number.as_deref()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            line(name, value);
        }
    }
    if let Some(at) = event.event_timestamp {
        line("time", &format!("{at:.0}"));
    }
    for source in &event.received {
        let at = source.timestamp.map(|at| format!(" at {at:.3}")).unwrap_or_default();
        line("received", &format!("{}{at}", place(source)));
    }
    if event.received.is_empty() {
        line("received", "no record of it was found on the raw topic");
    }
    let row = event.row.row.as_ref();
    let row = row.map(|row| {
        let (table, date, version) = (row.table, row.event_date, row.table_version);
        let at = event
            .row
            .ingested_at
            .map(|at| format!(" at {at:.3}"))
            .unwrap_or_default();
        format!("{table}, {date}, in version {version}{at}: ")
    });
    line("row", &format!("{}{}", row.unwrap_or_default(), event.row.next.text));
    if let Some(command) = &event.row.next.command {
        line("", command);
    }
    for link in &event.traces {
        line("trace", link.url.as_deref().unwrap_or(&link.id));
    }
    for note in &event.notes {
        line("note", note);
    }
    let count = event.attachments.len();
    let mut attachments: Vec<_> = event.attachments.iter().zip(1..).collect();
    // What was asked for comes first, then what needs attention.
    attachments.sort_by_key(|(attachment, _)| {
        let is_well = matches!(
            attachment.state,
            AttachmentState::Completed | AttachmentState::InProgress
        );
        (!attachment.asked_for, is_well)
    });
    for (attachment, number) in attachments.iter().take(MAX_ATTACHMENTS) {
        text.push_str(&attachment_text(attachment, &format!("attachment {number} of {count}")));
    }
    if count > MAX_ATTACHMENTS {
        let more = count - MAX_ATTACHMENTS;
        let _ = writeln!(text, "\nand {more} more attachments; use --json for all");
    }
    for letter in &event.dead_letters {
        text.push_str(&attachment_text(letter, "message"));
    }
    text.push('\n');
    text
}

fn attachment_text(attachment: &AttachmentLife, name: &str) -> String {
    let mut text = String::new();
    let asked_for = if attachment.asked_for { " (asked for)" } else { "" };
    let state = attachment.state.to_string().replace('_', " ");
    let url = attachment.attachment_url.as_deref().unwrap_or("-");
    let state = marked_state(attachment.state, &state);
    let _ = writeln!(text, "\n{name}{asked_for}: {state}: {}", one_line(url));
    let facts = [
        ("media id", attachment.media_id.map(|id| id.to_string())),
        ("path", attachment.blob_path.clone()),
        ("file", attachment.file.clone()),
        ("sha256", attachment.sha256.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<10}{}", one_line(&value));
        }
    }
    for step in &attachment.steps {
        let _ = writeln!(text, "  {}", one_line(&step_text(step)));
    }
    let Next {
        text: next, command, ..
    } = &attachment.next;
    let _ = writeln!(text, "  → {}", one_line(next));
    if let Some(command) = command {
        let _ = writeln!(text, "    {}", one_line(command));
    }
    text
}

fn marked_state(state: AttachmentState, text: &str) -> String {
    match state {
        AttachmentState::Completed => marked(text, "✓", Style::new().green()),
        AttachmentState::InProgress => marked(text, "…", Style::new().cyan()),
        AttachmentState::Unknown => marked(text, "?", Style::new().yellow()),
        AttachmentState::DeadLetter | AttachmentState::Failed | AttachmentState::Lost => {
            marked(text, "✗", Style::new().red())
        }
    }
}

fn searched_text(searched: &Searched) -> String {
    let mut text = String::new();
    let (records, bytes) = (searched.records, searched.bytes);
    let partitions = counted(searched.topics.len(), "partition");
    let _ = writeln!(text, "searched {partitions}: {records} records, {bytes} bytes");
    for partition in searched
        .topics
        .iter()
        .filter(|partition| partition.covers_less_than_all())
    {
        let (topic, number, from) = (&partition.topic, partition.partition, partition.from);
        let cut = if partition.is_cut { ", not to its end" } else { "" };
        let low = partition.low;
        let _ = writeln!(text, "  {}[{number}] from offset {from} of {low}{cut}", cell(topic));
    }
    for table in &searched.tables {
        let name = table.table;
        let Some(version) = table.version else {
            let _ = writeln!(text, "searched {name}: the table does not exist yet");
            continue;
        };
        let dates = match (table.dates.first(), table.dates.last()) {
            (Some(newest), Some(oldest)) if newest != oldest => {
                let dates = counted(table.dates.len(), "date");
                format!("{dates}, {oldest} to {newest}")
            }
            (Some(only), _) => only.to_string(),
            _ => "no date".to_owned(),
        };
        let (by, files) = (table.by, counted(table.files, "file"));
        let _ = writeln!(text, "searched {name} version {version} by {by}: {dates}, {files}");
    }
    if let Some(cost) = &searched.cost {
        let _ = writeln!(text, "{cost}");
    }
    text
}
