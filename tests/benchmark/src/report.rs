//! The figures, as a table and as JSON.

use comfy_table::Table;
use serde_json::{Map, Value, json};

/// One line: the figure of the product, and the one that it is compared with where there is one: of the bare loop, of one
/// process, or of another program.
struct Line {
    what: String,
    unit: &'static str,
    product: f64,
    baseline: Option<f64>,
}

/// All lines.
#[derive(Default)]
pub(crate) struct Report(Vec<Line>);

impl Report {
    /// Adds a figure that is compared with nothing.
    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, product: f64) {
        self.0.push(Line {
            what: what.into(),
            unit,
            product,
            baseline: None,
        });
    }

    /// Adds a figure next to its baseline.
    pub(crate) fn pair(&mut self, what: impl Into<String>, unit: &'static str, product: f64, baseline: f64) {
        self.0.push(Line {
            what: what.into(),
            unit,
            product,
            baseline: Some(baseline),
        });
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        table.set_header(["what", "unit", "product", "baseline", "product/baseline"]);
        for line in &self.0 {
            let ratio = line
                .baseline
                .map_or_else(String::new, |baseline| format!("{:.2}", line.product / baseline));
            let baseline = line.baseline.map_or_else(String::new, number);
            table.add_row([
                line.what.clone(),
                line.unit.to_owned(),
                number(line.product),
                baseline,
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
            if let Some(baseline) = line.baseline {
                figures.insert("baseline".to_owned(), json!(baseline));
                figures.insert("ratio".to_owned(), json!(line.product / baseline));
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
