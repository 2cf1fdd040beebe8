//! The table of the stages and their topics, with the last hour as small charts and the reasons of handlers that are not ready.

use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};

use super::handlers::Readiness;
use super::positions::{Flow, TopicFlow};
use super::sample::Sample;
use super::state::{of_topic, stuck_after};
use crate::console::chart::chart;
use crate::console::layout::{duration, scroll, text, time};
use xact_config::Settings;

/// Returns the table.
pub(super) fn table(flow: &Flow, handlers: &[Readiness], settings: &Settings, now: Timestamp) -> Markup {
    let first = |topic: &TopicFlow| flow.topics.iter().find(|other| other.stage == topic.stage);
    html! {
        (scroll("Stages and their topics", &html! { table {
            caption { "Read at " (time(flow.at)) }
            thead {
                tr {
                    th scope="col" { "Stage" }
                    th scope="col" { "Topic" }
                    th.number scope="col" { "In, 1/s" }
                    th.number scope="col" { "Out, 1/s" }
                    th.number scope="col" { "Waiting" }
                    th.number scope="col" { "Oldest" }
                    th scope="col" { "In and out, last hour" }
                    th scope="col" { "Waiting, last hour" }
                    th scope="col" { "State" }
                }
            }
            tbody {
                @for topic in &flow.topics {
                    // Reasons are of the whole stage.
                    @let is_first = first(topic) == Some(topic);
                    (row(topic, if is_first { handlers } else { &[] }, settings, now))
                }
            }
        } }))
    }
}

fn row(topic: &TopicFlow, handlers: &[Readiness], settings: &Settings, now: Timestamp) -> Markup {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"));
    let age = topic.oldest.map(|at| duration(now.duration_since(at).as_secs()));
    let state = of_topic(topic, stuck_after(settings, topic.stage), now);
    let line = |value: fn(&Sample) -> Option<f64>| {
        let values = topic.history.iter();
        values.filter_map(|sample| Some((sample.at, value(sample)?))).collect()
    };
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let waiting: Vec<(Timestamp, f64)> = line(|sample| Some(sample.lag as f64));
    let rates = [
        ("written", line(|sample| sample.written)),
        ("finished", line(|sample| sample.finished)),
    ];
    html! {
        tr {
            th scope="row" { (topic.stage) }
            td { (topic.topic) }
            td.number { (rate(topic.written)) }
            td.number { (rate(topic.finished)) }
            td.number { (HumanCount(topic.lag)) }
            td.number { (age.unwrap_or_else(|| "–".to_owned())) }
            td { (chart(&rates, now, &format!("written to and finished in {}", topic.topic))) }
            td { (chart(&[("waiting", waiting)], now, &format!("waiting in {}", topic.topic))) }
            td.lines {
                span.state data-state=(state.name()) { (state.words(now)) }
                @for (component, reason) in handlers.iter().flat_map(|handler| handler.of(Some(topic.stage))) {
                    p.reason { (text(component)) ": " (text(reason)) }
                }
            }
        }
    }
}

/// Returns what handlers say that is not of one stage.
pub(super) fn handlers(handlers: &[Readiness]) -> Markup {
    html! {
        @for handler in handlers {
            @if handler.reasons.is_none() { p.advice { "The handler at " (text(&handler.address)) " does not answer." } }
            @for (component, reason) in handler.of(None) {
                p.advice { (text(&handler.address)) ", " (text(component)) ": " (text(reason)) }
            }
        }
    }
}
