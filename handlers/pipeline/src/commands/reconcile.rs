//! `reconcile`: whether every attachment of every event of a time is in exactly one place, by topics and tables alone.

mod day;
mod tables;
mod topics;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use crate::arguments::parse_time;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::text::cell;
use day::{Missing, Tally};
use tables::Tables;
use topics::FromTopics;
use xact_config::{Environment, Settings};
use xact_contracts::time;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Rows of a table for people.
const ROWS: usize = 100;

/// Which events. Their own timestamps count (the record's, where an event has none).
///
/// Every attachment of every event must be a row of xact_attachments or of xact_attachments_failed, or still be in a topic:
/// in a record that its stage has not finished, or in an unsettled dead letter of a message that could not be read.
/// Told are attachments and event rows that are nowhere, keys that are in a table more than once, attachments in both
/// tables, and events with URLs outside their list of attachments (IGNORED_URL_PATHS). Exit 1 if there is any. It may run beside the pipeline.
///
/// What it sees: events on the raw topic as long as they are retained there, and in xact_events for ever. An
/// attachment's id comes from its whole URL, signature included, and the tables hold no signatures: attachments of an event that
/// the raw topic no longer has are matched by event and URL without query, and counted where several look the same. An
/// event that is neither on the raw topic nor in any table cannot be seen. Files in the lake are not opened.
///
/// Keys are counted over the whole dates that the time touches. Memory is that of one date: some hundred bytes an attachment.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Reconcile {
    /// Events of this time or later, such as 2025-01-31 or 2025-01-31T08:00:00Z
    #[arg(long, value_name = "T", value_parser = parse_time)]
    from: Timestamp,
    /// Events before this time
    #[arg(long, value_name = "T", value_parser = parse_time)]
    to: Timestamp,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// From a time, up to and without another.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: Timestamp,
    to: Timestamp,
}

impl Range {
    fn holds(self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }

    fn touches(self, date: Date) -> bool {
        (self.first_date()..=self.last_date()).contains(&date)
    }

    fn first_date(self) -> Date {
        time::utc_date(self.from)
    }

    fn last_date(self) -> Date {
        time::utc_date(self.to - jiff::SignedDuration::from_nanos(1))
    }
}

/// Prints what it finds; false if anything is missing or there twice.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, what: Reconcile) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let range = Range {
        from: what.from,
        to: what.to,
    };
    if range.from >= range.to {
        return Err("--from must be before --to".into());
    }
    let tables = Tables::open(&settings)?;
    let all = match range.first_date() == range.last_date() {
        true => of_date(&settings, &tables, range.first_date(), range).await?,
        false => of_dates(&settings, &tables, range).await?,
    };
    if what.json {
        println!("{}", as_json(&all, range));
    } else {
        print(&all);
    }
    Ok(ExitStatus::from(all.is_well()))
}

/// Of many dates the topics hold only some, and to read them takes seconds: for the others it is done once.
async fn of_dates(settings: &Settings, tables: &Tables, range: Range) -> Result<Tally, Error> {
    let of_topics = {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || topics::dates(&settings, range))
    };
    let (in_topics, elsewhere) = of_topics.await??;
    let in_tables = tables.dates().await?;
    // Of all other dates nothing was anywhere when this began.
    let dates = in_topics.union(&in_tables).copied();
    let mut all = Tally::default();
    for date in dates.filter(|date| range.touches(*date)) {
        let by_tables = match in_topics.contains(&date) {
            true => None,
            false => Some(of_tables(tables, date, range, &elsewhere).await?),
        };
        let tally = match by_tables.filter(Tally::is_well) {
            Some(tally) => tally,
            // An event that has come in the meantime may seem to miss what is still on its way.
            None => of_date(settings, tables, date, range).await?,
        };
        all.add(tally);
    }
    Ok(all)
}

async fn of_date(settings: &Settings, tables: &Tables, date: Date, range: Range) -> Result<Tally, Error> {
    let known = tables.known(date).await?;
    let settings = settings.clone();
    let FromTopics { mut day, seen } =
        tokio::task::spawn_blocking(move || topics::read(&settings, date, range)).await??;
    tables.read(date, range, &known, seen, &mut day).await?;
    Ok(day.tally())
}

/// A date on which the topics held nothing when they were looked through, before the tables.
async fn of_tables(tables: &Tables, date: Date, range: Range, elsewhere: &FromTopics) -> Result<Tally, Error> {
    let known = tables.known(date).await?;
    let FromTopics { mut day, seen } = elsewhere.clone();
    tables.read(date, range, &known, seen, &mut day).await?;
    Ok(day.tally())
}

fn as_json(all: &Tally, range: Range) -> serde_json::Value {
    let missing = |missing: &Missing| {
        json!({
            "what": if missing.url.is_some() { "attachment" } else { "event row" },
            "trace_id": missing.trace_id, "event_timestamp": missing.at.map(time::format),
            "media_id": missing.media_id, "attachment_url": missing.url,
        })
    };
    let missing: Vec<_> = all.missing.iter().map(missing).collect();
    let duplicates = all.duplicates.iter();
    let duplicates: Vec<_> = duplicates
        .map(|twice| json!({"table": twice.table, "key": twice.key, "rows": twice.rows}))
        .collect();
    json!({
        "from": time::format(range.from), "to": time::format(range.to), "well": all.is_well(),
        "events": {"all": all.events, "waiting": all.events_waiting, "by_table_alone": all.events_by_table},
        "attachments": {"all": all.attachments, "completed": all.completed, "failed": all.failed, "waiting": all.waiting},
        "missing": missing, "duplicates": duplicates, "unreadable": all.unreadable,
        "events_with_unlisted_urls": all.events_with_unlisted_urls, "unlisted_urls": all.unlisted_urls,
    })
}

#[allow(clippy::print_stdout)]
fn print(all: &Tally) {
    let mut shown = Table::new(&["", "count"]);
    let mut row = |name: &str, count: u64| {
        shown.add_row([name.to_owned(), count.to_string()]);
    };
    row("events", all.events);
    row("  not yet written", all.events_waiting);
    row("  no longer on the raw topic", all.events_by_table);
    row("attachments", all.attachments);
    row("  in xact_attachments", all.completed);
    row("  in xact_attachments_failed", all.failed);
    for (place, count) in &all.waiting {
        row(&format!("  still in a topic: {place}"), *count);
    }
    row("records that are no readable event", all.unreadable);
    row(
        "events with URLs outside their attachments",
        all.events_with_unlisted_urls,
    );
    row("missing", all.missing.len() as u64);
    row("duplicate keys", all.duplicates.len() as u64);
    println!("{shown}");
    if !all.missing.is_empty() {
        let mut shown = Table::new(&["missing", "event time", "trace id", "media id", "attachment"]);
        for missing in all.missing.iter().take(ROWS) {
            let dash = || "-".to_owned();
            shown.add_row([
                if missing.url.is_some() {
                    "attachment"
                } else {
                    "event row"
                }
                .to_owned(),
                missing.at.map_or_else(dash, time::format),
                cell(&missing.trace_id),
                missing.media_id.map_or_else(dash, |id| id.to_string()),
                missing.url.as_deref().map_or_else(dash, cell),
            ]);
        }
        println!("{shown}");
    }
    if !all.duplicates.is_empty() {
        let mut shown = Table::new(&["table", "key", "rows"]);
        for twice in all.duplicates.iter().take(ROWS) {
            shown.add_row([twice.table.to_owned(), cell(&twice.key), twice.rows.to_string()]);
        }
        println!("{shown}");
    }
    if all.missing.len().max(all.duplicates.len()) > ROWS {
        println!("only the first {ROWS} are shown: --json has all");
    }
    if !all.unlisted_urls.is_empty() {
        let mut shown = Table::new(&["URLs outside the attachments", "events"]);
        for (path, events) in all.unlisted_urls.iter().take(ROWS) {
            shown.add_row([cell(path), events.to_string()]);
        }
        println!("{shown}");
        println!(
            "Nothing is downloaded from these URLs. If they are attachments, the source must put them into `attachments`; \
             if not, add the paths to IGNORED_URL_PATHS."
        );
    }
    match all.unreadable {
        _ if !all.is_well() => {}
        0 => println!("Every attachment is in exactly one place."),
        count => println!(
            "Every attachment of the readable events is in exactly one place. What {count} records name is not known: \
             `xact-pipeline dlq list --stage event-ingester` shows them."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_dates_of_its_events() {
        let touched = |from: &str, to: &str| {
            let range = Range {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            };
            let dates = (29..=31).map(|day| Date::constant(2024, 12, day));
            let dates = dates.chain([Date::constant(2025, 1, 1), Date::constant(2025, 1, 2)]);
            let touched = dates.filter(|date| range.touches(*date));
            touched.map(|date| date.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(touched("2024-12-31T00:00:00Z", "2025-01-01T00:00:00Z"), ["2024-12-31"]);
        assert_eq!(
            touched("2024-12-31T23:59:59Z", "2025-01-01T00:00:01Z"),
            ["2024-12-31", "2025-01-01"]
        );
    }
}
