//! Tables that fit the terminal.

use comfy_table::{ContentArrangement, Row, presets};
use console::Term;

/// A table in the style of all commands. On a terminal long cells are wrapped to its width; elsewhere nothing is wrapped, so
/// that scripts read whole lines.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// Makes an empty table.
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
        let terminal = Term::stdout();
        if terminal.is_term()
            && let Some((_, width)) = terminal.size_checked()
        {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn add_row(&mut self, row: impl Into<Row>) {
        self.0.add_row(row);
    }

    /// Adds rows.
    pub(crate) fn add_rows<R: Into<Row>>(&mut self, rows: impl IntoIterator<Item = R>) {
        self.0.add_rows(rows);
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        super::line(&self.0);
    }
}
