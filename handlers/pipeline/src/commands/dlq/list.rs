//! `dlq list`: the entries as a table or as JSON lines.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use clap::Args;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::cell;
use crate::ui::{self, Table, or_dash};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_operations::dead_letters::{self, EntrySummary, ListQuery, Page};

/// The columns of the table.
const COLUMNS: [&str; 9] = [
    "entry",
    "state",
    "failed at",
    "stage",
    "category",
    "retries",
    "trace id",
    "media id",
    "error",
];

/// Arguments of `dlq list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    query: ListQuery,
    /// JSON lines: one object per entry, without limit
    #[arg(long)]
    json: bool,
}

/// Lists the entries.
pub(super) async fn run(settings: Settings, arguments: List) -> CommandResult {
    let query = arguments.query;
    if arguments.json {
        return tokio::task::spawn_blocking(move || print_lines(&settings, &query)).await?;
    }
    print_table(&dead_letters::list(&settings, &query).await?, query.all);
    Ok(ExitStatus::Ok)
}

/// Prints every entry while the topic is read. Blocks.
fn print_lines(settings: &Settings, query: &ListQuery) -> CommandResult {
    let mut lines = BufWriter::new(io::stdout());
    let mut written: io::Result<()> = Ok(());
    dead_letters::visit(settings, query, |entry| {
        written = serde_json::to_writer(&mut lines, &entry).map_err(io::Error::from);
        if written.is_ok() {
            written = lines.write_all(b"\n");
        }
        // The reader may close the pipe before the end.
        if written.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    written.and_then(|()| lines.flush())?;
    Ok(ExitStatus::Ok)
}

fn print_table(page: &Page, is_all: bool) {
    let mut table = Table::new(&COLUMNS);
    table.add_rows(page.entries.iter().map(row));
    table.print();
    let (waiting, settled, shown) = (page.waiting, page.settled, page.entries.len() as u64);
    let all = if is_all { waiting + settled } else { waiting };
    if all > shown {
        ui::line(format_args!(
            "the newest {shown} of {all}: raise --limit, or use --json for all"
        ));
    }
    let hidden = if all == waiting && settled > 0 {
        " (not shown: --all)"
    } else {
        ""
    };
    ui::line(format_args!(
        "{waiting} waiting, {settled} resolved or replayed{hidden}"
    ));
}

fn row(entry: &EntrySummary) -> [String; 9] {
    let text = |text: Option<&str>| or_dash(text.map(cell));
    [
        entry.id.to_string(),
        entry.state.to_string(),
        or_dash(entry.failed_at.map(|at| format!("{at:.0}"))),
        text(entry.stage.as_deref()),
        text(entry.error_category.map(Category::as_str)),
        or_dash(entry.retry_count),
        text(entry.trace_id.as_deref()),
        or_dash(entry.media_id),
        cell(entry.reason()),
    ]
}
