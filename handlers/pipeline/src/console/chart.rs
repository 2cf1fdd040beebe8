//! Small charts.

use jiff::Timestamp;
use maud::{Markup, html};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// Returns a line of values over time, as large as its box. `label` is its text for screen readers.
pub(super) fn sparkline(values: &[(Timestamp, u64)], label: &str) -> Markup {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return html! {};
    };
    let span = last.0.duration_since(first.0).as_secs_f64().max(1.0);
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let top = values.iter().map(|&(_, value)| value).max().unwrap_or_default().max(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let points: Vec<String> = values
        .iter()
        .map(|&(at, value)| {
            let x = at.duration_since(first.0).as_secs_f64() / span * WIDTH;
            let y = HEIGHT - 1.0 - value as f64 / top * (HEIGHT - 2.0);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) preserveAspectRatio="none" {
            polyline points=(points.join(" ")) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_at_the_top_and_nothing_draws_nothing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let chart = sparkline(&[(at(0), 0), (at(10), 4), (at(20), 2)], "lag").into_string();
        assert!(chart.contains(r#"points="0.0,23.0 60.0,1.0 120.0,12.0""#), "{chart}");
        assert_eq!(sparkline(&[], "lag").into_string(), "");
        // One reading, and no lag at all: no division by zero.
        assert!(sparkline(&[(at(0), 0)], "lag").into_string().contains("0.0,23.0"));
    }
}
