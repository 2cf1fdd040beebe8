//! The overview: the flow of the pipeline, as a picture and as a table, and the numbers of today.
//!
//! The page is there at once. Its content comes as server-sent events, or without scripts as a part of its own.

mod cached;
mod facts;
mod handlers;
mod picture;
mod positions;
mod sample;
mod stages;
mod state;
mod streams;
pub(super) mod watch;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::{Stream, StreamExt, stream};
use maud::{Markup, html};
use tokio::time::Instant;

use self::facts::{cost, facts};
use self::picture::picture;
use self::stages::{handlers, table};
use self::streams::OpenStream;
use self::watch::{INTERVAL, Look};
use super::context::Context;
use super::layout::{self, problem, scroll};
use super::user::User;

/// After this time a page opens another stream, and a user whose session has ended gets none.
const MAX_STREAM_LIFE: Duration = Duration::from_secs(120);
/// Time after which a browser opens another stream.
const RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// How long a page without scripts waits for what is not read yet.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// `GET /`: the page; its content follows as soon as the broker answers.
pub(super) async fn page(user: User) -> Markup {
    let content = html! {
        div hx-ext="sse" sse-connect="/overview/events" sse-close="ended" {
            div sse-swap="picture" {}
            div sse-swap="overview" {
                noscript { a href="/overview" { "Show it without updates" } }
                p { "Asking the broker …" }
            }
        }
    };
    layout::page("/", "Overview", &user, &content)
}

/// `GET /overview`: what the page shows, for pages without scripts or without a stream.
pub(super) async fn part(State(context): State<Context>) -> Markup {
    let look = context.watch.look(FIRST_ANSWER_TIMEOUT).await;
    html! { (image(&look, &context)) (content(&look, &context)) }
}

fn image(look: &Look, context: &Context) -> Markup {
    html! { @if let Ok(flow) = &look.flow { (scroll("Picture of the flow", &picture(flow, &context.settings, look.at))) } }
}

/// Returns what stands below the picture. A broker that does not answer is a text, since the page goes on asking.
fn content(look: &Look, context: &Context) -> Markup {
    let readiness = look
        .handlers
        .as_deref()
        .and_then(|answer| answer.result.as_deref().ok());
    let readiness = readiness.unwrap_or_default();
    html! {
        @match &look.flow {
            Ok(flow) => {
                @if !flow.missing_topics.is_empty() {
                    (problem(&format!("missing topics: {}; `xact-pipeline topics create` makes them, on Event Hubs the deployment does", flow.missing_topics.join(", "))))
                }
                (facts(look))
                (handlers(readiness))
                (table(flow, readiness, &context.settings, look.at))
            }
            Err(reason) => {
                (problem(reason))
                p {
                    "The page asks again every " (INTERVAL.as_secs()) " seconds. "
                    a #setup href="/setup" { "Setup" } " checks everything that the pipeline needs."
                }
                (facts(look))
                (handlers(readiness))
            }
        }
        (cost(look))
    }
}

/// `GET /overview/events`: the picture and the content, again and again.
pub(super) async fn events(
    State(context): State<Context>,
    user: User,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let now = Instant::now();
    let page = Page {
        stream: context.watch.open_stream(&user.name),
        context,
        headers,
        ends_at: now + MAX_STREAM_LIFE,
        next_at: now,
    };
    let events = stream::unfold(Some(page), |page| async {
        let mut page = page?;
        let (events, is_last) = page.next().await?;
        Some((stream::iter(events.map(Ok)), (!is_last).then_some(page)))
    });
    Sse::new(events.flatten())
}

/// A page that is open.
struct Page {
    context: Context,
    /// Says who looks, at each update again.
    headers: HeaderMap,
    stream: OpenStream,
    ends_at: Instant,
    next_at: Instant,
}

impl Page {
    /// Returns the next update, and whether it is the last; `None` if the stream ends and the page may open another one.
    async fn next(&mut self) -> Option<([Event; 3], bool)> {
        let Self { context, stream, .. } = self;
        tokio::select! {
            () = tokio::time::sleep_until(self.next_at) => {}
            () = stream.replaced.cancelled() => return Some((ended(&ask_at_intervals()), true)),
            () = context.stop.cancelled() => return None,
        }
        if !context.access.is_signed_in(&self.headers) {
            let over = html! { (problem("The session is over.")) p { a href="/" { "Sign in" } } };
            return Some((ended(&over), true));
        }
        if self.next_at >= self.ends_at {
            return None;
        }
        let wait = Duration::ZERO;
        let look = tokio::select! {
            look = context.watch.look(wait) => look,
            () = context.stop.cancelled() => return None,
        };
        self.next_at = Instant::now().max(self.next_at + INTERVAL);
        let events = [
            Event::default().retry(RECONNECT_DELAY).comment("overview"),
            event("picture", &image(&look, context)),
            event("overview", &content(&look, context)),
        ];
        Some((events, false))
    }
}

/// Returns what a page without a stream shows: a part that is asked for at intervals.
fn ask_at_intervals() -> Markup {
    html! { div hx-get="/overview" hx-trigger="load, every 10s" { p { "Asking the broker …" } } }
}

/// Returns the last events of a stream: the page does not open another one.
fn ended(content: &Markup) -> [Event; 3] {
    [
        event("picture", &html! {}),
        event("overview", content),
        event("ended", &html! {}),
    ]
}

fn event(name: &str, content: &Markup) -> Event {
    // A carriage return cannot be sent in an event, and browsers drop events without data.
    let data = match content.0.as_str() {
        "" => "<!-- nothing -->".to_owned(),
        data => data.replace('\r', " "),
    };
    Event::default().event(name).data(data)
}
