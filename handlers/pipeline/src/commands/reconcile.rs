//! `reconcile`: whether every attachment of every event of a time range is in exactly one place.

use clap::Args;
use jiff::Timestamp;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::cell;
use crate::ui::{self, Table, or_dash};
use xact_config::{Environment, Settings};
use xact_contracts::time;
use xact_operations::parse_time;
use xact_operations::reconcile::{Findings, Missing, Record, Recorded, TimeRange, reconcile};

/// Maximum number of rows of a table.
const MAX_ROWS: usize = 100;

/// Which events. Their own timestamps count (the record's, where an event has none).
///
/// Every attachment of every event must be a row of xact_attachments or of xact_attachments_failed, or still be in a topic:
/// in a record that its stage has not finished, or in an unsettled dead letter of a message that could not be read.
/// Reported are attachments and event rows that are missing, keys that a table has more than once, attachments in both
/// tables, and events with URLs outside their list of attachments (IGNORED_URL_PATHS). Exit 1 if there is any. The pipeline
/// may run meanwhile.
///
/// Limits: an event is known as long as the raw topic retains it, and from its row in xact_events without limit. The id of
/// an attachment comes from its whole URL, signature included, and the tables hold no signatures: attachments of an event
/// that the raw topic no longer has are matched by event and URL without query, and counted where several are equal. An
/// event that is neither on the raw topic nor in a table cannot be found. Files in the lake are not opened.
///
/// Keys are counted over the whole dates that the time range touches. Memory is that of one date: some hundred bytes per
/// attachment.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Reconcile {
    /// Events of this time or later, such as 2025-01-31 or 2025-01-31T08:00:00Z
    #[arg(long, value_name = "T", value_parser = parse_time, required_unless_present = "yesterday")]
    from: Option<Timestamp>,
    /// Events before this time
    #[arg(long, value_name = "T", value_parser = parse_time, required_unless_present = "yesterday")]
    to: Option<Timestamp>,
    /// Events of the UTC date before today's, instead of --from and --to
    #[arg(long, conflicts_with_all = ["from", "to"])]
    yesterday: bool,
    /// Append one row for each date, whatever was found, to the table at DELTA_RECONCILIATION_TABLE_PATH; whole dates only
    #[arg(long)]
    record: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Reconciles the time range; exit 1 if anything is missing or duplicate.
pub(crate) async fn run(environment: &Environment, arguments: Reconcile) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let now = Timestamp::now();
    let range = match (arguments.from, arguments.to) {
        (Some(from), Some(to)) => TimeRange::new(from, to)?,
        _ => TimeRange::yesterday(now),
    };
    let mut record = arguments
        .record
        .then(|| Record::new(&settings, range, now))
        .transpose()?;
    let mut reconciliation = reconcile(&settings, range, record.as_mut()).await?;
    let recorded = match record {
        Some(record) => record.append(&mut reconciliation).await,
        None => Ok(()),
    };
    if arguments.json {
        ui::json_line(&reconciliation)?;
    } else {
        print(&reconciliation.findings);
        if let Some(Recorded { table, rows, .. }) = &reconciliation.recorded {
            ui::line(format_args!("recorded in {table}: rows {rows}"));
        }
    }
    // What was found is printed also if it cannot be recorded.
    recorded?;
    Ok(ExitStatus::from(reconciliation.well))
}

fn print(findings: &Findings) {
    print_counts(findings);
    if !findings.missing.is_empty() {
        let mut table = Table::new(&["missing", "event time", "trace id", "media id", "attachment"]);
        table.add_rows(findings.missing.iter().take(MAX_ROWS).map(missing_row));
        table.print();
    }
    if !findings.duplicates.is_empty() {
        let mut table = Table::new(&["table", "key", "rows"]);
        for duplicate in findings.duplicates.iter().take(MAX_ROWS) {
            table.add_row([
                duplicate.table.to_owned(),
                cell(&duplicate.key),
                duplicate.rows.to_string(),
            ]);
        }
        table.print();
    }
    if findings.missing.len().max(findings.duplicates.len()) > MAX_ROWS {
        ui::line(format_args!("only the first {MAX_ROWS} are shown: use --json for all"));
    }
    if !findings.unlisted_urls.is_empty() {
        let mut table = Table::new(&["URLs outside the attachments", "events"]);
        for (path, events) in findings.unlisted_urls.iter().take(MAX_ROWS) {
            table.add_row([cell(path), events.to_string()]);
        }
        table.print();
        ui::line(
            "Nothing is downloaded from these URLs. If they are attachments, the source must put them into `attachments`; \
             if not, add the paths to IGNORED_URL_PATHS.",
        );
    }
    match findings.unreadable {
        _ if !findings.is_well() => {}
        0 => ui::line("Every attachment is in exactly one place."),
        count => ui::line(format_args!(
            "Every attachment of the readable events is in exactly one place. Unreadable records: {count}; \
             `xact-pipeline dlq list --stage event-ingester` lists them."
        )),
    }
}

fn print_counts(findings: &Findings) {
    let (events, attachments) = (&findings.events, &findings.attachments);
    let mut table = Table::new(&["", "count"]);
    let mut row = |name: &str, count: u64| table.add_row([name.to_owned(), count.to_string()]);
    row("events", events.all);
    row("  not yet written", events.waiting);
    row("  no longer on the raw topic", events.by_table_alone);
    row("attachments", attachments.all);
    row("  in xact_attachments", attachments.completed);
    row("  in xact_attachments_failed", attachments.failed);
    for (role, count) in &attachments.waiting {
        row(&format!("  still in a topic: {role}"), *count);
    }
    row("records that are not readable events", findings.unreadable);
    row(
        "events with URLs outside their attachments",
        findings.events_with_unlisted_urls,
    );
    row("missing", findings.missing.len() as u64);
    row("duplicate keys", findings.duplicates.len() as u64);
    table.print();
}

fn missing_row(missing: &Missing) -> [String; 5] {
    [
        missing.what.to_owned(),
        or_dash(missing.at.map(time::format)),
        cell(&missing.trace_id),
        or_dash(missing.media_id),
        or_dash(missing.url.as_deref().map(cell)),
    ]
}
