//! The overview: every stage with its topics, rates, lag and state.

use axum::extract::State;
use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};

use super::access::User;
use super::chart::sparkline;
use super::context::Context;
use super::layout::{self, duration, problem, scroll, time};
use super::positions::{Flow, TopicFlow};

/// Seconds between two updates of a page that is shown.
const INTERVAL: u32 = 5;

/// `GET /`: the page, which is there at once; its content follows as soon as the broker answers.
pub(super) async fn page(user: User) -> Markup {
    let content = html! {
        div hx-get="/overview" hx-trigger={ "load, every " (INTERVAL) "s" } {
            noscript { a href="/overview" { "Show it without updates" } }
            p { "Asking the broker …" }
        }
    };
    layout::page("/", "Overview", &user, &content)
}

/// `GET /overview`: what the page shows. A broker that does not answer is a text, since the page goes on asking.
pub(super) async fn part(State(context): State<Context>) -> Markup {
    match context.positions.flow().await {
        Ok(flow) => table(&flow, Timestamp::now()),
        Err(error) => html! {
            (problem(&error.to_string()))
            p {
                "The page asks again every " (INTERVAL) " seconds. "
                a href="/setup" { "Setup" } " checks everything that the pipeline needs."
            }
        },
    }
}

fn table(flow: &Flow, now: Timestamp) -> Markup {
    html! {
        @if !flow.missing_topics.is_empty() {
            (problem(&format!("missing topics: {}; `xact-pipeline topics create` makes them, on Event Hubs the deployment does", flow.missing_topics.join(", "))))
        }
        (scroll("Stages", &html! {
            table {
                caption { "Read at " (time(flow.at)) }
                thead {
                    tr {
                        th scope="col" { "Stage" }
                        th scope="col" { "Topic" }
                        th.number scope="col" { "In, 1/s" }
                        th.number scope="col" { "Out, 1/s" }
                        th.number scope="col" { "Waiting" }
                        th.number scope="col" { "Oldest" }
                        th scope="col" { "Waiting, last hour" }
                        th scope="col" { "State" }
                    }
                }
                tbody {
                    @for topic in &flow.topics {
                        (row(topic, now))
                    }
                }
            }
        }))
        p {
            "Rates are of the last half minute, and need two readings. Each reading asks the broker once for each partition, and "
            "OneLake never."
        }
    }
}

fn row(topic: &TopicFlow, now: Timestamp) -> Markup {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"));
    let age = topic.oldest.map(|at| duration(now.duration_since(at).as_secs()));
    let (state, words) = state(topic, now);
    html! {
        tr {
            th scope="row" { (topic.stage) }
            td { (topic.topic) }
            td.number { (rate(topic.written)) }
            td.number { (rate(topic.finished)) }
            td.number { (HumanCount(topic.lag)) }
            td.number { (age.unwrap_or_else(|| "–".to_owned())) }
            td { (sparkline(&topic.history, &format!("waiting in {}", topic.topic))) }
            td { span.state data-state=(state) { (words) } }
        }
    }
}

/// Returns the state of a stage in one topic: for the style, and in words.
fn state(topic: &TopicFlow, now: Timestamp) -> (&'static str, String) {
    match topic {
        TopicFlow { lag: 0, .. } => ("idle", "nothing waits".to_owned()),
        TopicFlow { is_retry: true, .. } => ("held", "held until due".to_owned()),
        TopicFlow {
            stands_since: Some(since),
            ..
        } => {
            let since = duration(now.duration_since(*since).as_secs());
            ("standing", format!("nothing finished for {since}"))
        }
        TopicFlow { finished: None, .. } => ("unknown", "one reading so far".to_owned()),
        _ => ("working", "working".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_whether_somebody_must_act() {
        let now: Timestamp = "2025-01-01T00:01:00Z".parse().unwrap();
        let idle = TopicFlow {
            stage: "download",
            topic: "<t>".to_owned(),
            is_retry: false,
            lag: 0,
            oldest: None,
            written: Some(1.0),
            finished: Some(1.0),
            stands_since: None,
            history: Vec::new(),
        };
        let at = |second| Timestamp::from_second(now.as_second() - second).ok();
        assert_eq!(state(&idle, now).0, "idle");
        let waiting = TopicFlow {
            lag: 1234,
            oldest: at(61),
            ..idle
        };
        assert_eq!(state(&waiting, now).0, "working");
        let shown = row(&waiting, now).into_string();
        assert!(shown.contains("&lt;t&gt;") && shown.contains("1m 1s"), "{shown}");
        let first = TopicFlow {
            finished: None,
            ..waiting
        };
        assert_eq!(state(&first, now).0, "unknown");
        let standing = TopicFlow {
            stands_since: at(30),
            ..first
        };
        assert_eq!(
            state(&standing, now),
            ("standing", "nothing finished for 30s".to_owned())
        );
        let held = TopicFlow {
            is_retry: true,
            ..standing
        };
        assert_eq!(state(&held, now).0, "held");
    }
}
