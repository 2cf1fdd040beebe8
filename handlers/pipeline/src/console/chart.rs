//! Small charts of the last hour.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;
/// The time from the left to the right end.
const SPAN: SignedDuration = SignedDuration::from_hours(1);

/// A line of a chart: a class for its style, and its values over time.
pub(super) type Line = (&'static str, Vec<(Timestamp, f64)>);

/// Returns lines in one scale over the hour before `now`, as large as their box. `label` is their text for screen readers.
pub(super) fn chart(lines: &[Line], now: Timestamp, label: &str) -> Markup {
    let values = || lines.iter().flat_map(|(_, line)| line);
    if values().next().is_none() {
        return html! {};
    }
    let top = values().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = if top > 0.0 { top } else { 1.0 };
    let point = |&(at, value): &(Timestamp, f64)| {
        let age = now.duration_since(at).as_secs_f64() / SPAN.as_secs_f64();
        let x = (1.0 - age.clamp(0.0, 1.0)) * WIDTH;
        let y = HEIGHT - 1.0 - value / top * (HEIGHT - 2.0);
        format!("{x:.1},{y:.1}")
    };
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) preserveAspectRatio="none" {
            @for (class, line) in lines {
                polyline class=(class) points=(line.iter().map(point).collect::<Vec<_>>().join(" ")) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_share_a_scale_and_end_at_the_right() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let lines = [
            ("written", vec![(at(0), 4.0), (at(30), 2.0)]),
            ("finished", vec![(at(30), 0.0), (at(60), 1.0)]),
        ];
        let shown = chart(&lines, at(60), "rates").into_string();
        assert!(
            shown.contains(r#"class="written" points="0.0,1.0 60.0,12.0""#),
            "{shown}"
        );
        assert!(
            shown.contains(r#"class="finished" points="60.0,23.0 120.0,17.5""#),
            "{shown}"
        );
        assert_eq!(chart(&[("written", Vec::new())], at(0), "rates").into_string(), "");
        // Only zeros: no division by zero.
        assert!(
            chart(&[("lag", vec![(at(0), 0.0)])], at(0), "lag")
                .into_string()
                .contains("120.0,23.0")
        );
    }
}
