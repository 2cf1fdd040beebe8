//! The figures, as a table and as JSON.

use comfy_table::Table;
use serde_json::{Map, Value, json};

/// One line: the figure of the product, and the figure of the bare loop where there is one.
struct Line {
    what: String,
    unit: &'static str,
    product: f64,
    raw: Option<f64>,
}

/// All lines.
#[derive(Default)]
pub(crate) struct Report(Vec<Line>);

impl Report {
    /// Adds a figure without a bare loop.
    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, product: f64) {
        self.0.push(Line {
            what: what.into(),
            unit,
            product,
            raw: None,
        });
    }

    /// Adds a figure next to that of the bare loop.
    pub(crate) fn pair(&mut self, what: impl Into<String>, unit: &'static str, product: f64, raw: f64) {
        self.0.push(Line {
            what: what.into(),
            unit,
            product,
            raw: Some(raw),
        });
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        table.set_header(["what", "unit", "product", "raw", "product/raw"]);
        for line in &self.0 {
            let ratio = line
                .raw
                .map_or_else(String::new, |raw| format!("{:.2}", line.product / raw));
            let raw = line.raw.map_or_else(String::new, number);
            table.add_row([
                line.what.clone(),
                line.unit.to_owned(),
                number(line.product),
                raw,
                ratio,
            ]);
        }
        table.to_string()
    }

    pub(crate) fn json(&self) -> String {
        let lines = self.0.iter().map(|line| {
            let mut figures = Map::new();
            figures.insert("unit".to_owned(), line.unit.into());
            figures.insert("product".to_owned(), json!(line.product));
            if let Some(raw) = line.raw {
                figures.insert("raw".to_owned(), json!(raw));
                figures.insert("ratio".to_owned(), json!(line.product / raw));
            }
            (line.what.clone(), Value::Object(figures))
        });
        Value::Object(lines.collect()).to_string()
    }
}

fn number(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
