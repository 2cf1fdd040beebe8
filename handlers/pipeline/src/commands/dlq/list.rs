//! `dlq list`: the entries as a table or as JSON lines.

use std::io;
use std::ops::ControlFlow;

use super::arguments::List;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::cell;
use crate::ui::{self, JsonLines, Table};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_operations::dead_letters::{self, EntrySummary, Filter, ListQuery, Page, SettledEntries};

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

/// Lists the entries.
pub(super) async fn run(settings: Settings, arguments: List) -> CommandResult {
    let filter = Filter::from(arguments.filter);
    let settled = if arguments.all {
        SettledEntries::Include
    } else {
        SettledEntries::Exclude
    };
    if arguments.json {
        return tokio::task::spawn_blocking(move || print_lines(&settings, &filter, settled)).await?;
    }
    let query = ListQuery {
        filter,
        settled,
        skip: 0,
        limit: arguments.limit,
    };
    print_table(&dead_letters::list(&settings, &query).await?, settled);
    Ok(ExitStatus::Ok)
}

/// Prints every entry while the topic is read. Blocks.
fn print_lines(settings: &Settings, filter: &Filter, settled: SettledEntries) -> CommandResult {
    let mut lines = JsonLines::new();
    let mut written: io::Result<()> = Ok(());
    dead_letters::visit(settings, filter, settled, |entry| {
        written = lines.write(&entry);
        // The reader may close the pipe before the end.
        if written.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    written.and_then(|()| lines.finish())?;
    Ok(ExitStatus::Ok)
}

fn print_table(page: &Page, settled: SettledEntries) {
    let mut table = Table::new(&COLUMNS);
    table.add_rows(page.entries.iter().map(row));
    table.print();
    let shown = page.entries.len() as u64;
    let all = match settled {
        SettledEntries::Exclude => page.waiting,
        SettledEntries::Include => page.waiting + page.settled,
    };
    if all > shown {
        ui::line(format_args!(
            "the newest {shown} of {all}: raise --limit, or use --json for all"
        ));
    }
    let hidden = if all == page.waiting && page.settled > 0 {
        " (not shown: --all)"
    } else {
        ""
    };
    let (waiting, settled) = (page.waiting, page.settled);
    ui::line(format_args!(
        "{waiting} waiting, {settled} resolved or replayed{hidden}"
    ));
}

fn row(entry: &EntrySummary) -> [String; 9] {
    let dash = || "-".to_owned();
    let text = |text: Option<&str>| text.map_or_else(dash, cell);
    [
        entry.id.to_string(),
        entry.state.as_str().to_owned(),
        entry.failed_at.map_or_else(dash, |at| format!("{at:.0}")),
        text(entry.stage.as_deref()),
        text(entry.error_category.map(Category::as_str)),
        entry.retry_count.map_or_else(dash, |count| count.to_string()),
        text(entry.trace_id.as_deref()),
        entry.media_id.map_or_else(dash, |id| id.to_string()),
        cell(entry.final_error.as_deref().unwrap_or(super::view::FOREIGN)),
    ]
}
